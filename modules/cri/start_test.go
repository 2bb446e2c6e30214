package cri

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/moby/moby/api/types/mount"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	runtime "k8s.io/cri-api/pkg/apis/runtime/v1"

	"github.com/pouchfx/pouchfx/types"
)

func aStartHasWhatPreStartAsksFor(t *testing.T, f *fixture) {
	h := f.hooks
	shared, note := t.TempDir(), filepath.Join(t.TempDir(), "order")
	require.NoError(t, os.WriteFile(filepath.Join(shared, "file"), []byte("mounted"), 0o644))
	var seen *types.Container
	h.preStart = func(_ context.Context, c *types.Container) ([]int, [][]string, error) {
		copied := *c
		seen = &copied
		c.Config.Env = append(c.Config.Env, "STARTED=1")
		c.Annotations["org.example.started"] = "yes"
		c.Mounts = append(c.Mounts, types.MountPoint{Type: mount.TypeBind, Source: shared, Destination: "/shared", RW: true})
		say := func(word string) []string { return []string{"/bin/sh", "sh", "-c", "echo " + word + " >> " + note} }
		return []int{-3, 9}, [][]string{say("last"), say("first")}, nil
	}
	id := f.run(t, "started", containerConfig("main"))

	assert.Contains(t, f.exec(t, id, "env"), "STARTED=1\n")
	assert.Equal(t, "mounted", f.exec(t, id, "cat", "/shared/file"))
	order, err := os.ReadFile(note)
	require.NoError(t, err)
	assert.Equal(t, []string{"first", "last"}, strings.Fields(string(order)))
	c, err := f.engine.PodClient().LoadContainer(t.Context(), id)
	require.NoError(t, err)
	spec, err := c.Spec(t.Context())
	require.NoError(t, err)
	assert.Equal(t, "yes", spec.Annotations["org.example.started"])
	for _, hook := range spec.Hooks.CreateRuntime {
		assert.NotEmpty(t, hook.Env, "or it gets the daemon's")
	}

	assert.Equal(t, id, seen.ID)
	assert.Equal(t, "main", seen.Name)
	assert.Equal(t, "box", seen.Image)
	assert.Equal(t, f.engine.PodRootFS(id), seen.BaseFS)
	if f.engine.Embedded() { // where another keeps its state is a guess
		assert.FileExists(t, filepath.Join(seen.BaseFS, "bin/box"))
	}
}

func aStartThatAHookRefusesMayBeTriedAgain(t *testing.T, f *fixture) {
	h := f.hooks
	p := f.podConfig("again")
	id, err := f.tryCreate(t, f.runPod(t, p), p, containerConfig("main"))
	require.NoError(t, err)
	h.preStart = func(context.Context, *types.Container) ([]int, [][]string, error) {
		return nil, nil, errors.New("not yet")
	}
	_, err = f.runtime.StartContainer(t.Context(), &runtime.StartContainerRequest{ContainerId: id})
	assert.ErrorContains(t, err, `plugin "h": PreStart: not yet`)
	h.preStart = func(context.Context, *types.Container) ([]int, [][]string, error) {
		return []int{0}, [][]string{{"/no/such/program"}}, nil
	}
	_, err = f.runtime.StartContainer(t.Context(), &runtime.StartContainerRequest{ContainerId: id})
	assert.ErrorContains(t, err, `plugin "h": PreStart: runtime hook 0: the program /no/such/program`)
	h.preStart = nil
	f.start(t, id)
	h.seen()
	_, err = f.runtime.StartContainer(t.Context(), &runtime.StartContainerRequest{ContainerId: id})
	assert.ErrorContains(t, err, "CONTAINER_RUNNING")
	calls, _ := h.seen()
	assert.Empty(t, calls, "no hook runs for a container that runs")
}

// A start whose request got lost after the specification was written begins
// with the one that CRI made.
func nothingPilesUpFromStartToStart(t *testing.T, f *fixture) {
	h := f.hooks
	h.preStart = func(_ context.Context, c *types.Container) ([]int, [][]string, error) {
		c.Config.Env = append(c.Config.Env, "STARTED=1")
		return []int{1}, [][]string{{"/bin/true"}}, nil
	}
	p := f.podConfig("piles")
	id, err := f.tryCreate(t, f.runPod(t, p), p, containerConfig("main"))
	require.NoError(t, err)
	for range 2 {
		c, err := f.endpoint.loadContainer(t.Context(), id)
		require.NoError(t, err)
		require.NoError(t, f.endpoint.prepareStart(t.Context(), c))
	}
	f.start(t, id[:12])
	c, err := f.engine.PodClient().LoadContainer(t.Context(), id)
	require.NoError(t, err)
	spec, err := c.Spec(t.Context())
	require.NoError(t, err)
	assert.Len(t, spec.Hooks.CreateRuntime, 1)
	assert.Equal(t, 1, strings.Count(f.exec(t, id, "env"), "STARTED=1"))
}

func aContainerThatIsNotThereCannotBeStarted(t *testing.T, f *fixture) {
	for _, id := range []string{"", "nothing", "abc", strings.Repeat("a", 64), "../x", ".*"} {
		_, err := f.runtime.StartContainer(t.Context(), &runtime.StartContainerRequest{ContainerId: id})
		assert.Contains(t, []codes.Code{codes.NotFound, codes.InvalidArgument}, status.Code(err), "%q: %v", id, err)
	}
	pod := f.runPod(t, f.podConfig("only"))
	_, err := f.runtime.StartContainer(t.Context(), &runtime.StartContainerRequest{ContainerId: pod})
	assert.Equal(t, codes.NotFound, status.Code(err), "a sandbox is no container: %v", err)
}
