package criplugins_test

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	cri "k8s.io/cri-api/pkg/apis/runtime/v1"

	"github.com/pouchfx/pouchfx/modules/containerd"
	"github.com/pouchfx/pouchfx/modules/containerd/containerdtest"
)

func TestAPodFromItsStartToItsRemoval(t *testing.T) {
	t.Run("embedded", func(t *testing.T) {
		wholeLife(t, containerdtest.Start(t, containerdtest.CRI(t)), true)
	})
	t.Run("external", func(t *testing.T) {
		stock, c := containerdtest.StockCRI(t)
		stock.Start(t)
		e := containerdtest.Start(t, c)
		give(t, e, containerdtest.StockPause, containerdtest.Pause(t))
		wholeLife(t, e, false) // its state is not where containerd keeps it by default
	})
}

func wholeLife(t *testing.T, e *containerd.Engine, knownRoot bool) {
	ctx := t.Context()
	k := kubeletOf(e)
	give(t, e, box, containerdtest.Box(t))
	p := pod(t, "p")
	sandbox := k.run(t, p)
	id := k.container(t, sandbox, p, "echo hello; sleep 100")

	ran, err := k.ExecSync(ctx, &cri.ExecSyncRequest{ContainerId: id, Cmd: []string{"sh", "-c", "cat /vol/from-image; exit 4"}})
	require.NoError(t, err)
	assert.Equal(t, "from the image\n", string(ran.Stdout))
	assert.EqualValues(t, 4, ran.ExitCode)
	log := filepath.Join(p.LogDirectory, "c.log")
	require.Eventually(t, func() bool { return len(read(t, log)) > 0 }, waitFor, tick)
	assert.Regexp(t, `^\S+ stdout F hello\n$`, read(t, log))
	if knownRoot {
		assert.Equal(t, "from the image\n", read(t, filepath.Join(e.PodRootFS(id), "vol", "from-image")))
	}
	container, err := e.PodClient().LoadContainer(ctx, id)
	require.NoError(t, err)
	spec, err := container.Spec(ctx)
	require.NoError(t, err)
	assert.Equal(t, []string{"sh", "-c", "echo hello; sleep 100"}, spec.Process.Args)

	_, err = k.StopContainer(ctx, &cri.StopContainerRequest{ContainerId: id, Timeout: 0})
	require.NoError(t, err)
	_, err = k.RemoveContainer(ctx, &cri.RemoveContainerRequest{ContainerId: id})
	require.NoError(t, err)
	_, err = k.StopPodSandbox(ctx, &cri.StopPodSandboxRequest{PodSandboxId: sandbox})
	require.NoError(t, err)
	_, err = k.RemovePodSandbox(ctx, &cri.RemovePodSandboxRequest{PodSandboxId: sandbox})
	require.NoError(t, err)
	left, err := e.PodClient().Containers(ctx)
	require.NoError(t, err)
	assert.Empty(t, left)
}

func TestPodsRunThroughARestartOfTheEngine(t *testing.T) {
	c := containerdtest.CRI(t)
	e := containerd.New(c, containerdtest.Log(t))
	require.NoError(t, e.Start(t.Context()))
	give(t, e, box, containerdtest.Box(t))
	p := pod(t, "p")
	k := kubeletOf(e)
	sandbox := k.run(t, p)
	id := k.container(t, sandbox, p, "i=0; while true; do i=$((i+1)); echo $i; sleep 0.05; done")
	before := statusOf(t, k, id)
	require.NoError(t, e.Stop(t.Context()))

	e = containerdtest.Start(t, c)
	k = kubeletOf(e)
	after := statusOf(t, k, id)
	assert.Equal(t, cri.ContainerState_CONTAINER_RUNNING, after.State)
	assert.Equal(t, before.StartedAt, after.StartedAt)
	s, err := k.PodSandboxStatus(t.Context(), &cri.PodSandboxStatusRequest{PodSandboxId: sandbox})
	require.NoError(t, err)
	assert.Equal(t, cri.PodSandboxState_SANDBOX_READY, s.Status.State)
	log := filepath.Join(p.LogDirectory, "c.log")
	length := len(read(t, log))
	require.Eventually(t, func() bool { return len(read(t, log)) > length }, waitFor, tick, "its log goes on")
}

func statusOf(t *testing.T, k kubelet, id string) *cri.ContainerStatus {
	t.Helper()
	s, err := k.ContainerStatus(t.Context(), &cri.ContainerStatusRequest{ContainerId: id})
	require.NoError(t, err)
	return s.Status
}

func TestTheEngineStopsInTheMiddleOfACall(t *testing.T) {
	c := containerdtest.CRI(t)
	e := containerd.New(c, containerdtest.Log(t))
	require.NoError(t, e.Start(t.Context()))
	give(t, e, box, containerdtest.Box(t))
	p, k := pod(t, "p"), kubeletOf(e)
	id := k.container(t, k.run(t, p), p, "sleep 100")
	ended := make(chan error, 1)
	go func() {
		_, err := k.ExecSync(t.Context(), &cri.ExecSyncRequest{ContainerId: id, Cmd: []string{"sh", "-c", "touch /called; sleep 100"}})
		ended <- err
	}()
	require.Eventually(t, func() bool {
		_, err := os.Stat(filepath.Join(e.PodRootFS(id), "called"))
		return err == nil
	}, waitFor, tick)
	begin := time.Now()
	require.NoError(t, e.Stop(t.Context()))
	assert.Less(t, time.Since(begin), 4*time.Second, "the call is cancelled")
	require.Error(t, <-ended)

	k = kubeletOf(containerdtest.Start(t, c))
	assert.Equal(t, cri.ContainerState_CONTAINER_RUNNING, statusOf(t, k, id).State)
}
