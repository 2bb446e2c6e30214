package cri

import (
	"context"
	"fmt"
	"os"
	"testing"

	"github.com/containerd/errdefs"
	"github.com/docker/go-units"
	specs "github.com/opencontainers/runtime-spec/specs-go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	runtime "k8s.io/cri-api/pkg/apis/runtime/v1"

	"github.com/pouchfx/pouchfx/plugins"
	"github.com/pouchfx/pouchfx/types"
)

func hooksChangeWhatKubernetesCreates(t *testing.T, f *fixture) {
	h := f.hooks
	var meta *types.SandboxMeta
	h.preCri = func(_ context.Context, c *types.ContainerCreateConfig, m *types.SandboxMeta) error {
		meta = m
		c.Env = append(c.Env, "FIRST=1")
		return nil
	}
	h.preCreate = func(_ context.Context, c *types.ContainerCreateConfig) error {
		c.Env = append(c.Env, fmt.Sprintf("SECOND=%s", c.Env[len(c.Env)-1]))
		c.Labels["org.example.by"] = "h"
		c.HostConfig.Ulimits = append(c.HostConfig.Ulimits, &units.Ulimit{Name: "nofile", Soft: 333, Hard: 444})
		c.HostConfig.PidsLimit = new(int64(77))
		return nil
	}
	id := f.run(t, "change", containerConfig("main"))

	env := f.exec(t, id, "env")
	assert.Contains(t, env, "FIRST=1\n")
	assert.Contains(t, env, "SECOND=FIRST=1\n")
	r, err := f.runtime.ContainerStatus(t.Context(), &runtime.ContainerStatusRequest{ContainerId: id})
	require.NoError(t, err)
	assert.Equal(t, "h", r.Status.Labels["org.example.by"])
	assert.Equal(t, "main", r.Status.Labels["io.kubernetes.container.name"])
	c, err := f.engine.PodClient().LoadContainer(t.Context(), id)
	require.NoError(t, err)
	spec, err := c.Spec(t.Context())
	require.NoError(t, err)
	assert.EqualValues(t, 77, *spec.Linux.Resources.Pids.Limit)
	assert.Contains(t, spec.Process.Rlimits, specs.POSIXRlimit{Type: "RLIMIT_NOFILE", Soft: 333, Hard: 444})
	// The soft limit is raised by programs that are written in Go, as this one.
	assert.Regexp(t, `Max open files +\d+ +444 `, f.exec(t, id, "cat", "/proc/self/limits"))

	assert.Equal(t, "pod-change", meta.Name)
	assert.Equal(t, "default", meta.Namespace)
	assert.Equal(t, f.logs, meta.LogDirectory)
	calls, requests := h.seen()
	assert.Equal(t, []string{"PreCreateContainer", "PreCreate", "PreStart"}, calls)
	asked := plugins.Request{
		FrontEnd: plugins.FrontEndCRI, Name: "main", RemoteUser: fmt.Sprintf("uid:%d", os.Getuid()),
		Pod: plugins.Pod{Name: "pod-change", Namespace: "default", UID: "uid-pod-change"},
	}
	assert.Equal(t, []plugins.Request{asked, asked}, requests[:2])
	asked.ID, asked.Image, asked.Labels = id, requests[2].Image, r.Status.Labels
	assert.NotEmpty(t, asked.Image)
	assert.Equal(t, asked, requests[2])
}

func aHookMayRefuseAContainer(t *testing.T, f *fixture) {
	h := f.hooks
	p := f.podConfig("refuse")
	pod := f.runPod(t, p)
	for name, c := range map[string]struct {
		hook func(c *types.ContainerCreateConfig) error
		code codes.Code
		text string
	}{
		"error": {
			func(*types.ContainerCreateConfig) error {
				return fmt.Errorf("not on my node: %w", errdefs.ErrPermissionDenied)
			},
			codes.PermissionDenied, `plugin "h": PreCreate: not on my node`,
		},
		"plain error": {
			func(*types.ContainerCreateConfig) error { return fmt.Errorf("no") },
			codes.Unknown, `plugin "h": PreCreate: no`,
		},
		"panic": {
			func(*types.ContainerCreateConfig) error { panic("oops") },
			codes.Unknown, `plugin "h": PreCreate: panic: oops`,
		},
		"what the pod decides": {
			func(c *types.ContainerCreateConfig) error { c.Hostname = "mine"; return nil },
			codes.InvalidArgument, `plugin "h": PreCreate: cannot carry a change to CRI: Hostname: it belongs to the pod`,
		},
		"what kubelet decides": {
			func(c *types.ContainerCreateConfig) error { c.HostConfig.RestartPolicy.Name = "always"; return nil },
			codes.InvalidArgument, `plugin "h": PreCreate: cannot carry a change to CRI: HostConfig.RestartPolicy: it is kubelet's to decide`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			h.preCreate = func(_ context.Context, config *types.ContainerCreateConfig) error { return c.hook(config) }
			_, err := f.tryCreate(t, pod, p, containerConfig("main"))
			assert.Equal(t, c.code, status.Code(err), err)
			assert.ErrorContains(t, err, c.text)
		})
	}
	list, err := f.runtime.ListContainers(t.Context(), &runtime.ListContainersRequest{})
	require.NoError(t, err)
	assert.Empty(t, list.Containers)
	h.preCreate = nil
	_, err = f.tryCreate(t, pod, p, containerConfig("main"))
	assert.NoError(t, err, "nothing of the name is left")
}

func theDaemonsOwnAnnotationIsNotForOthers(t *testing.T, f *fixture) {
	h := f.hooks
	p := f.podConfig("own")
	c := containerConfig("main")
	c.Annotations = map[string]string{AnnotationSpec: `{}`}
	_, err := f.tryCreate(t, f.runPod(t, p), p, c)
	assert.Equal(t, codes.InvalidArgument, status.Code(err))
	assert.ErrorContains(t, err, AnnotationSpec)
	calls, _ := h.seen()
	assert.Empty(t, calls)
}

func requestsWithoutTheirPartsAreRefusedByUpstream(t *testing.T, f *fixture) {
	for name, r := range map[string]*runtime.CreateContainerRequest{
		"empty":             {},
		"no config":         {PodSandboxId: "x"},
		"no sandbox config": {PodSandboxId: "x", Config: containerConfig("main")},
		"only metadata":     {PodSandboxId: "x", Config: &runtime.ContainerConfig{Metadata: &runtime.ContainerMetadata{Name: "a"}}},
	} {
		_, err := f.runtime.CreateContainer(t.Context(), r)
		assert.Error(t, err, name)
		assert.NotEqual(t, codes.Internal, status.Code(err), name)
	}
}
