package criplugins_test

import (
	"context"
	"testing"
	"time"

	"github.com/containerd/errdefs"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	cri "k8s.io/cri-api/pkg/apis/runtime/v1"

	"github.com/pouchfx/pouchfx/modules/containerd"
	"github.com/pouchfx/pouchfx/modules/containerd/containerdtest"
)

func TestAnExternalContainerdMayComeAndGo(t *testing.T) {
	stock, c := containerdtest.StockCRI(t)
	begin := time.Now()
	core, logs := observer.New(zap.InfoLevel)
	e := containerd.New(c, zap.New(core))
	require.NoError(t, e.Start(t.Context()))
	t.Cleanup(func() { require.NoError(t, e.Stop(context.Background())) })
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

	const gone, back = "containerd does not answer: nothing works until it does", "containerd answers again"
	var told []string
	require.Eventually(t, func() bool {
		told = nil
		for _, line := range logs.All() {
			if line.Message == gone || line.Message == back {
				told = append(told, line.Message)
			}
		}
		return len(told) >= 4
	}, waitFor, tick)
	assert.Equal(t, []string{gone, back, gone, back}, told)
}
