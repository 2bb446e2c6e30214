package containerd_test

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/pouchfx/pouchfx/modules/containerd"
	"github.com/pouchfx/pouchfx/modules/containerd/containerdtest"
)

func TestCRIThatIsNotInThisBinaryIsNamed(t *testing.T) {
	c := containerdtest.CRI(t) // and nobody imports criplugins
	e := containerd.New(c, containerdtest.Log(t))
	assert.ErrorContains(t, e.Start(t.Context()), "this binary has no CRI: leave out --cri-host")
}
