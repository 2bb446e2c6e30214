package criplugins_test

import (
	"testing"

	"github.com/stretchr/testify/require"
	cri "k8s.io/cri-api/pkg/apis/runtime/v1"

	"github.com/pouchfx/pouchfx/modules/containerd/containerdtest"
)

// BenchmarkCall is a call that does nothing, on the connection in memory.
func BenchmarkCall(b *testing.B) {
	k := kubeletOf(containerdtest.Start(b, containerdtest.CRI(b)))
	for b.Loop() {
		_, err := k.Version(b.Context(), &cri.VersionRequest{})
		require.NoError(b, err)
	}
}
