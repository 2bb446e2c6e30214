package containerd_test

import (
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/zap"

	"github.com/pouchfx/pouchfx/modules/containerd"
	"github.com/pouchfx/pouchfx/modules/containerd/containerdtest"
)

// BenchmarkStart starts and stops the embedded engine on an existing root.
func BenchmarkStart(b *testing.B) {
	c := containerdtest.Config(b)
	for b.Loop() {
		e := containerd.New(c, zap.NewNop())
		require.NoError(b, e.Start(b.Context()))
		require.NoError(b, e.Stop(b.Context()))
	}
}
