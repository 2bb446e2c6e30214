package cri

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	runtime "k8s.io/cri-api/pkg/apis/runtime/v1"

	"github.com/pouchfx/pouchfx/modules/explain"
	"github.com/pouchfx/pouchfx/modules/registry"
	"github.com/pouchfx/pouchfx/types"
)

func hooksOf(changes []registry.Change) (all []string) {
	for _, c := range changes {
		all = append(all, c.Plugin+" "+c.Hook+" "+strings.Join(c.Fields, ","))
	}
	return all
}

func whatPluginsDidIsKeptWithTheContainer(t *testing.T, f *fixture) {
	h := f.hooks
	h.preCri = func(_ context.Context, c *types.ContainerCreateConfig, _ *types.SandboxMeta) error {
		c.Env = append(c.Env, "FIRST=1")
		return nil
	}
	h.preCreate = func(_ context.Context, c *types.ContainerCreateConfig) error {
		c.Labels["org.example.by"] = "h"
		return nil
	}
	h.preStart = func(_ context.Context, c *types.Container) ([]int, [][]string, error) {
		c.Annotations["org.example.started"] = "1"
		return nil, nil, nil
	}
	h.preUpdate = func(_ context.Context, body string) (string, error) {
		return strings.Replace(body, `"Memory":33554432`, `"Memory":67108864`, 1), nil
	}
	id := f.run(t, "explain", containerConfig("main"))
	_, err := f.runtime.UpdateContainerResources(t.Context(), &runtime.UpdateContainerResourcesRequest{
		ContainerId: id, Linux: &runtime.LinuxContainerResources{MemoryLimitInBytes: 32 << 20},
	})
	require.NoError(t, err)

	e, err := explain.Pods{Engine: f.engine}.Explain(t.Context(), id[:20])
	require.NoError(t, err)
	assert.Equal(t, []string{"h PreCreateContainer /Env/FIRST", "h PreCreate /Labels/org.example.by"}, hooksOf(e.Create))
	assert.Equal(t, []string{"h PreStart /Annotations/org.example.started"}, hooksOf(e.Start))
	assert.Equal(t, []string{"h PreUpdate /Memory"}, hooksOf(e.Update))
}

func aCreateThatUpstreamRefusesIsUndone(t *testing.T, f *fixture) {
	h := f.hooks
	var undone []string
	h.undo = func(ctx context.Context, c *types.ContainerCreateConfig) error {
		undone = append(undone, c.Env[len(c.Env)-1])
		return ctx.Err()
	}
	h.preCreate = func(_ context.Context, c *types.ContainerCreateConfig) error {
		c.Env = append(c.Env, "BY=h")
		return nil
	}
	p := f.podConfig("undo")
	pod := f.runPod(t, p)
	c := containerConfig("main")
	c.Image = &runtime.ImageSpec{Image: "nosuch"}
	_, err := f.tryCreate(t, pod, p, c)
	refused := status.Code(err)
	assert.NotEqual(t, codes.OK, refused)
	assert.Equal(t, []string{"BY=h"}, undone)

	h.undo = func(context.Context, *types.ContainerCreateConfig) error { return errors.New("stuck") }
	_, err = f.tryCreate(t, pod, p, c)
	assert.Equal(t, refused, status.Code(err), "the class is that of the cause: %v", err)
	assert.ErrorContains(t, err, `plugin "h": UndoPreCreate: stuck: what its PreCreate did may be left behind`)

	undone = nil
	_, err = f.tryCreate(t, pod, p, containerConfig("main"))
	require.NoError(t, err)
	assert.Empty(t, undone)
}
