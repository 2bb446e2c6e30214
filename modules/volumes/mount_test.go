package volumes

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/containerd/containerd/v2/core/mount"
	"github.com/containerd/errdefs"
	"github.com/moby/sys/mountinfo"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pouchfx/pouchfx/types"
)

func needRoot(t *testing.T) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root: it mounts file systems")
	}
}

func tmpfs(name string) *types.VolumeCreateConfig {
	return &types.VolumeCreateConfig{Name: name, DriverOpts: map[string]string{"type": "tmpfs", "device": "tmpfs", "o": "size=1m,noexec,mode=0750"}}
}

func mounted(t *testing.T, path string) bool {
	t.Helper()
	is, err := mountinfo.Mounted(path)
	require.NoError(t, err)
	return is
}

// use makes a volume and mounts it for a container.
func (h *house) use(t *testing.T, config *types.VolumeCreateConfig, container string) string {
	t.Helper()
	_, err := h.Create(t.Context(), config)
	require.NoError(t, err)
	require.NoError(t, h.Acquire(t.Context(), config.Name, container))
	path, err := h.Mount(t.Context(), config.Name, container)
	require.NoError(t, err)
	t.Cleanup(func() { _ = mount.UnmountAll(path, 0) })
	return path
}

func TestAPlainVolumeIsItsDirectory(t *testing.T) {
	h := newHouse(t, noHook)
	path := h.use(t, named("data"), "c1")
	v, err := h.Get(t.Context(), "data")
	require.NoError(t, err)
	assert.Equal(t, v.Mountpoint, path)
	assert.False(t, mounted(t, path))
	require.NoError(t, h.Unmount(t.Context(), "data", "c1"))
}

func TestMountNeedsAnAcquiredVolume(t *testing.T) {
	h := newHouse(t, noHook)
	_, err := h.Create(t.Context(), named("data"))
	require.NoError(t, err)
	_, err = h.Mount(t.Context(), "data", "c1")
	assert.True(t, errdefs.IsFailedPrecondition(err), "%v", err)
}

func TestOptionsAreMountedForTheFirstAndUnmountedAfterTheLast(t *testing.T) {
	needRoot(t)
	h := newHouse(t, noHook)
	path := h.use(t, tmpfs("scratch"), "c1")
	h.use(t, tmpfs("scratch"), "c1") // twice is once
	h.use(t, tmpfs("scratch"), "c2")
	assert.True(t, mounted(t, path))
	info, err := os.Stat(path)
	require.NoError(t, err)
	assert.Equal(t, os.FileMode(0o750), info.Mode().Perm())
	mounts, err := mountinfo.GetMounts(mountinfo.SingleEntryFilter(path))
	require.NoError(t, err)
	require.Len(t, mounts, 1)
	assert.Contains(t, mounts[0].Options, "noexec")

	require.NoError(t, h.Unmount(t.Context(), "scratch", "c1"))
	assert.True(t, mounted(t, path))
	h.Release(t.Context(), "scratch", "c2")
	assert.False(t, mounted(t, path))
	h.Release(t.Context(), "scratch", "c1")
	require.NoError(t, h.Remove(t.Context(), "scratch", false))
}

func TestABindVolumeShowsTheHostsDirectory(t *testing.T) {
	needRoot(t)
	h := newHouse(t, noHook)
	source := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(source, "f"), nil, 0o600))
	bind := &types.VolumeCreateConfig{Name: "host", DriverOpts: map[string]string{"type": "none", "device": source, "o": "bind,ro"}}
	path := h.use(t, bind, "c1")
	assert.FileExists(t, filepath.Join(path, "f"))
	assert.Error(t, os.WriteFile(filepath.Join(path, "g"), nil, 0o600))

	h.Release(t.Context(), "host", "c1")
	require.NoError(t, h.Remove(t.Context(), "host", false))
	assert.FileExists(t, filepath.Join(source, "f"), "what was bound outlives the volume")
}

func TestAMountThatFailsIsExplained(t *testing.T) {
	needRoot(t)
	h := newHouse(t, noHook)
	_, err := h.Create(t.Context(), &types.VolumeCreateConfig{Name: "host", DriverOpts: map[string]string{"type": "none", "device": "/no/such", "o": "bind"}})
	require.NoError(t, err)
	require.NoError(t, h.Acquire(t.Context(), "host", "c1"))
	_, err = h.Mount(t.Context(), "host", "c1")
	assert.ErrorContains(t, err, "mount volume host: cannot mount /no/such")
	assert.ErrorIs(t, err, os.ErrNotExist)
}

func TestMountsOutliveTheDaemon(t *testing.T) {
	needRoot(t)
	h := newHouse(t, noHook)
	running := h.use(t, tmpfs("running"), "c1")
	ended := h.use(t, tmpfs("ended"), "c2")
	require.NoError(t, os.WriteFile(filepath.Join(running, "f"), nil, 0o600))

	h.restart(t)
	h.use(t, tmpfs("running"), "c1")
	require.NoError(t, h.UnmountUnused(t.Context()))

	assert.FileExists(t, filepath.Join(running, "f"))
	assert.False(t, mounted(t, ended))
	h.Release(t.Context(), "running", "c1")
	assert.False(t, mounted(t, running))
}

func TestAVolumeWithSomethingMountedInItStays(t *testing.T) {
	needRoot(t)
	h := newHouse(t, noHook)
	path := h.use(t, named("data"), "c1")
	h.Release(t.Context(), "data", "c1")
	inner := filepath.Join(path, "inner")
	require.NoError(t, os.Mkdir(inner, 0o700))
	require.NoError(t, (&mount.Mount{Type: "tmpfs", Source: "tmpfs"}).Mount(inner))
	t.Cleanup(func() { _ = mount.UnmountAll(inner, 0) })

	err := h.Remove(t.Context(), "data", true)

	assert.True(t, errdefs.IsConflict(err), "%v", err)
	assert.ErrorContains(t, err, inner)
	require.NoError(t, mount.UnmountAll(inner, 0))
	assert.NoError(t, h.Remove(t.Context(), "data", false))
}
