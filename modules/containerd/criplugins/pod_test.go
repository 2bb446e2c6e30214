package criplugins_test

import (
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	cri "k8s.io/cri-api/pkg/apis/runtime/v1"

	"github.com/pouchfx/pouchfx/modules/containerd"
	"github.com/pouchfx/pouchfx/modules/containerd/containerdtest"
)

const (
	waitFor = 20 * time.Second
	tick    = 5 * time.Millisecond
)

func TestAPodLivesAndDies(t *testing.T) {
	e := containerdtest.Start(t, containerdtest.CRI(t))
	live(t, e)
}

func live(t *testing.T, e *containerd.Engine) {
	ctx := t.Context()
	k := kubeletOf(e)
	importBox(t, e)
	p := pod(t, "p")
	sandbox := k.run(t, p)
	id := k.container(t, sandbox, p, "echo hello; while [ ! -e /end ]; do sleep 0.02; done; exit 3")

	ran, err := k.ExecSync(ctx, &cri.ExecSyncRequest{ContainerId: id, Cmd: []string{"sh", "-c", "cat /vol/from-image; exit 4"}})
	require.NoError(t, err)
	assert.Equal(t, "from the image\n", string(ran.Stdout))
	assert.EqualValues(t, 4, ran.ExitCode)
	log := filepath.Join(p.LogDirectory, "c.log")
	require.Eventually(t, func() bool { return len(read(t, log)) > 0 }, waitFor, tick)
	assert.Regexp(t, `^\S+ stdout F hello\n$`, read(t, log))
	assert.Equal(t, "from the image\n", read(t, filepath.Join(e.PodRootFS(id), "vol", "from-image")))
	container, err := e.PodClient().LoadContainer(ctx, id)
	require.NoError(t, err)
	assert.Equal(t, id, container.ID())

	_, err = k.StopContainer(ctx, &cri.StopContainerRequest{ContainerId: id, Timeout: 1})
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
