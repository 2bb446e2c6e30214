package facts

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestGatherSeesTheEnvironmentAndNoFilesThatAreNotThere(t *testing.T) {
	t.Setenv("MEMORY_LIMIT", "64MiB")
	f := Gather()
	assert.Contains(t, f.Env, "MEMORY_LIMIT=64MiB")
	assert.Empty(t, f.StartNote)
	assert.Empty(t, f.UpdateNote)
}
