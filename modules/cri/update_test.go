package cri

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	runtime "k8s.io/cri-api/pkg/apis/runtime/v1"
)

func update(id string, shares int64) *runtime.UpdateContainerResourcesRequest {
	return &runtime.UpdateContainerResourcesRequest{ContainerId: id, Linux: &runtime.LinuxContainerResources{CpuShares: shares}}
}

func (f *fixture) shares(t *testing.T, id string) int64 {
	t.Helper()
	r, err := f.runtime.ContainerStatus(t.Context(), &runtime.ContainerStatusRequest{ContainerId: id})
	require.NoError(t, err)
	return r.Status.Resources.Linux.CpuShares
}

func hooksChangeAnUpdate(t *testing.T, f *fixture) {
	h := f.hooks
	var body, root string
	var env []string
	h.preUpdate = func(_ context.Context, text string) (string, error) {
		body = text
		return strings.Replace(text, "200", "300", 1), nil
	}
	h.postUpdate = func(_ context.Context, rootfs string, e []string) error {
		root, env = rootfs, e
		return os.WriteFile(filepath.Join(rootfs, "tmp", "updated"), []byte("yes"), 0o644)
	}
	id := f.run(t, "updated", containerConfig("main"))
	h.seen()
	_, err := f.runtime.UpdateContainerResources(t.Context(), update(id, 200))
	require.NoError(t, err)
	assert.Contains(t, body, `"CpuShares":200`)
	assert.EqualValues(t, 300, f.shares(t, id))
	assert.Equal(t, "yes", f.exec(t, id, "cat", "/tmp/updated"))
	assert.Contains(t, env, "FROM_IMAGE=yes")
	assert.DirExists(t, root)
	calls, requests := h.seen()
	assert.Equal(t, []string{"PreUpdate", "PostUpdate"}, calls)
	for _, r := range requests {
		assert.Equal(t, id, r.ID)
		assert.Equal(t, "main", r.Name)
		assert.Equal(t, "pod-updated", r.Pod.Name)
	}
}

func anUpdateOfAContainerThatDoesNotRunYet(t *testing.T, f *fixture) {
	h := f.hooks
	h.postUpdate = func(_ context.Context, rootfs string, _ []string) error {
		return os.WriteFile(filepath.Join(rootfs, "tmp", "updated"), []byte("yes"), 0o644)
	}
	p := f.podConfig("before")
	id, err := f.tryCreate(t, f.runPod(t, p), p, containerConfig("main"))
	require.NoError(t, err)
	_, err = f.runtime.UpdateContainerResources(t.Context(), update(id, 200))
	require.NoError(t, err)
	f.start(t, id)
	assert.Equal(t, "yes", f.exec(t, id, "cat", "/tmp/updated"))
	assert.EqualValues(t, 200, f.shares(t, id))
}

func anUpdateThatAHookRefuses(t *testing.T, f *fixture) {
	h := f.hooks
	id := f.run(t, "refused", containerConfig("main"))
	before := f.shares(t, id)
	for text, hook := range map[string]func(string) (string, error){
		`plugin "h": PreUpdate: no`: func(string) (string, error) { return "", errors.New("no") },
		"RestartPolicy":             func(string) (string, error) { return `{"RestartPolicy": {"Name": "always"}}`, nil },
		"JSON":                      func(string) (string, error) { return `{"CpuShares":`, nil },
	} {
		h.preUpdate = func(_ context.Context, body string) (string, error) { return hook(body) }
		_, err := f.runtime.UpdateContainerResources(t.Context(), update(id, 200))
		assert.ErrorContains(t, err, text)
		assert.Equal(t, before, f.shares(t, id))
	}
	h.preUpdate = nil
	h.postUpdate = func(context.Context, string, []string) error { return errors.New("too late") }
	_, err := f.runtime.UpdateContainerResources(t.Context(), update(id, 200))
	assert.ErrorContains(t, err, `the container was updated, but: plugin "h": PostUpdate: too late`)
	assert.EqualValues(t, 200, f.shares(t, id))
}
