package criplugins_test

import (
	"testing"
	"time"

	"github.com/containerd/errdefs"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	cri "k8s.io/cri-api/pkg/apis/runtime/v1"

	"github.com/pouchfx/pouchfx/modules/containerd/containerdtest"
)

func TestAnExternalContainerdMayComeAndGo(t *testing.T) {
	stock, c := containerdtest.StockCRI(t)
	begin := time.Now()
	e := containerdtest.Start(t, c)
	assert.Less(t, time.Since(begin), 5*time.Second, "the start does not wait for it")
	k := kubeletOf(e)
	unavailable := func() {
		t.Helper()
		for range 3 {
			begin := time.Now()
			_, err := k.Version(t.Context(), &cri.VersionRequest{})
			assert.Equal(t, codes.Unavailable, status.Code(err), "%v", err)
			assert.Less(t, time.Since(begin), time.Second, "at once")
		}
		_, err := e.PodClient().Containers(t.Context())
		assert.True(t, errdefs.IsUnavailable(err), "%v", err)
	}
	resumes := func() {
		t.Helper()
		begin := time.Now()
		require.Eventually(t, func() bool {
			_, err := k.Version(t.Context(), &cri.VersionRequest{})
			return err == nil
		}, waitFor, tick)
		require.Eventually(t, func() bool {
			_, err := e.PodClient().Containers(t.Context())
			return err == nil
		}, waitFor, tick)
		assert.Less(t, time.Since(begin), 3*time.Second)
	}

	unavailable()
	stock.Start(t)
	resumes()
	stock.Stop()
	unavailable()
	stock.Start(t)
	resumes()
}
