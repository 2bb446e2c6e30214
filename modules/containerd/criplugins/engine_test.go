package criplugins_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/containerd/containerd/v2/core/images"
	"github.com/containerd/containerd/v2/core/leases"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"
	cri "k8s.io/cri-api/pkg/apis/runtime/v1"

	"github.com/pouchfx/pouchfx/modules/containerd"
	"github.com/pouchfx/pouchfx/modules/containerd/containerdtest"
)

func TestCRIIsReadyWhenTheEngineHasStarted(t *testing.T) {
	e := containerdtest.Start(t, containerdtest.CRI(t))
	k := kubeletOf(e)
	v, err := k.Version(t.Context(), &cri.VersionRequest{})
	require.NoError(t, err)
	assert.Equal(t, "containerd", v.RuntimeName)
	s, err := k.Status(t.Context(), &cri.StatusRequest{})
	require.NoError(t, err)
	conditions := map[string]bool{}
	for _, c := range s.Status.Conditions {
		conditions[c.Type] = c.Status
	}
	assert.True(t, conditions["RuntimeReady"])
	assert.False(t, conditions["NetworkReady"], "nobody has configured one")
	r, err := k.RuntimeConfig(t.Context(), &cri.RuntimeConfigRequest{})
	require.NoError(t, err)
	assert.Equal(t, cri.CgroupDriver_CGROUPFS, r.Linux.CgroupDriver)
}

func TestNothingElseOfContainerdIsServed(t *testing.T) {
	e := containerdtest.Start(t, containerdtest.CRI(t))
	_, err := grpc_health_v1.NewHealthClient(e.CRI()).Check(t.Context(), &grpc_health_v1.HealthCheckRequest{})
	assert.Equal(t, codes.Unimplemented, status.Code(err))
}

func TestCRIIsThereOnlyWhenItIsConfigured(t *testing.T) {
	e := containerdtest.Embedded(t)
	assert.Nil(t, e.CRI())
	assert.Nil(t, e.PodClient())
	plugins, err := e.Client().IntrospectionService().Plugins(t.Context())
	require.NoError(t, err)
	for _, p := range plugins.Plugins {
		assert.NotContains(t, p.Type+"."+p.ID, "cri")
		assert.NotContains(t, p.Type, "podsandbox")
		assert.NotContains(t, p.Type, "nri")
	}
}

func TestTheImageOfPodsIsPinnedAndSurvivesRestartsAndTheCollector(t *testing.T) {
	c := containerdtest.CRI(t)
	for range 2 {
		e := containerd.New(c, containerdtest.Log(t))
		require.NoError(t, e.Start(t.Context()))
		found, err := e.PodClient().ImageService().List(t.Context(), "name~=^pouchfx.local/pause:")
		require.NoError(t, err)
		require.Len(t, found, 1)
		collect(t, e)
		image := kubeletOf(e).image(t, found[0].Name)
		require.NotNil(t, image)
		assert.True(t, image.Pinned, "kubelet leaves it alone")
		assert.EqualValues(t, 65535, image.Uid.GetValue())
		ok, _, _, missing, err := images.Check(t.Context(), e.PodClient().ContentStore(), found[0].Target, containerd.Platform())
		require.NoError(t, err)
		assert.True(t, ok)
		assert.Empty(t, missing)
		kubeletOf(e).run(t, pod(t, "p"))
		containerdtest.RemovePods(t, e)
		require.NoError(t, e.Stop(t.Context()))
	}
}

func TestTheImageOfPodsComesBackWhenItIsRemoved(t *testing.T) {
	e := containerdtest.Start(t, containerdtest.CRI(t))
	k := kubeletOf(e)
	found, err := e.PodClient().ImageService().List(t.Context(), "name~=^pouchfx.local/pause:")
	require.NoError(t, err)
	require.Len(t, found, 1)
	for range 3 {
		id := k.image(t, found[0].Name).Id
		_, err = k.RemoveImage(t.Context(), &cri.RemoveImageRequest{Image: &cri.ImageSpec{Image: id}})
		require.NoError(t, err)
		require.Eventually(t, func() bool {
			image := k.image(t, found[0].Name)
			return image != nil && image.Pinned
		}, waitFor, tick)
	}
	collect(t, e)
	k.run(t, pod(t, "p"))
}

// collect has garbage collected, now.
func collect(t *testing.T, e *containerd.Engine) {
	t.Helper()
	l, err := e.PodClient().LeasesService().Create(t.Context(), leases.WithRandomID())
	require.NoError(t, err)
	require.NoError(t, e.PodClient().LeasesService().Delete(t.Context(), l, leases.SynchronousDelete))
}

func TestSettingsOfOneEngineDoNotReachTheNext(t *testing.T) {
	first := containerdtest.CRI(t)
	first.CRI.SandboxImage = "example.org/first:1"
	first.CRI.Runtimes = map[string]containerd.CRIRuntime{"first": {Binary: "/first", Options: map[string]any{"NoPivotRoot": true}}}
	e := containerd.New(first, containerdtest.Log(t))
	require.NoError(t, e.Start(t.Context()))
	assert.Contains(t, info(t, e), "first")
	require.NoError(t, e.Stop(t.Context()))

	e = containerdtest.Start(t, containerdtest.CRI(t))
	assert.NotContains(t, info(t, e), "first")
}

// info is CRI's configuration.
func info(t *testing.T, e *containerd.Engine) string {
	t.Helper()
	s, err := kubeletOf(e).Status(t.Context(), &cri.StatusRequest{Verbose: true})
	require.NoError(t, err)
	return s.Info["config"] + s.Info["sandboxImage"] + strings.Join(handlers(s), " ")
}

func handlers(s *cri.StatusResponse) (names []string) {
	for _, h := range s.RuntimeHandlers {
		names = append(names, h.Name)
	}
	return names
}

func TestAMisspeltOptionOfARuntimeIsNamed(t *testing.T) {
	c := containerdtest.CRI(t)
	c.CRI.Runtimes = map[string]containerd.CRIRuntime{"runc": {Options: map[string]any{"SystemdCgroups": true}}}
	e := containerd.New(c, containerdtest.Log(t))
	err := e.Start(t.Context())
	assert.ErrorContains(t, err, `runtime handler "runc"`)
	assert.ErrorContains(t, err, "SystemdCgroups")
}

func TestTheEngineStopsAlthoughSomebodyWatches(t *testing.T) {
	c := containerdtest.CRI(t)
	start := func() *containerd.Engine {
		e := containerd.New(c, containerdtest.Log(t))
		require.NoError(t, e.Start(t.Context()))
		return e
	}
	require.NoError(t, start().Stop(t.Context())) // starts what a process has once
	defer goleak.VerifyNone(t, append(containerdtest.Leaks(), goleak.IgnoreCurrent())...)
	e := start()
	watch, err := kubeletOf(e).GetContainerEvents(context.Background(), &cri.GetEventsRequest{})
	require.NoError(t, err)
	begin := time.Now()
	require.NoError(t, e.Stop(t.Context()))
	assert.Less(t, time.Since(begin), 10*time.Second)
	_, err = watch.Recv()
	assert.Error(t, err)
}
