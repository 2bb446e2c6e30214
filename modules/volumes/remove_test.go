package volumes

import (
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/containerd/errdefs"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pouchfx/pouchfx/types"
)

func TestRemoveTakesTheDataAndNothingElse(t *testing.T) {
	h := newHouse(t, noHook)
	outside := filepath.Join(t.TempDir(), "outside")
	require.NoError(t, os.WriteFile(outside, []byte("kept"), 0o600))
	v, err := h.Create(t.Context(), named("data"))
	require.NoError(t, err)
	require.NoError(t, os.Symlink(filepath.Dir(outside), filepath.Join(v.Mountpoint, "link")))
	require.NoError(t, os.MkdirAll(filepath.Join(v.Mountpoint, "a", "b"), 0o700))

	require.NoError(t, h.Remove(t.Context(), "data", false))

	assert.FileExists(t, outside)
	entries, err := os.ReadDir(h.path)
	require.NoError(t, err)
	assert.Empty(t, entries)
	_, err = h.Get(t.Context(), "data")
	assert.EqualError(t, err, "get data: no such volume")
	assert.True(t, errdefs.IsNotFound(err))
	h.restart(t)
	assert.Empty(t, h.names(t, nil))
}

func TestAVolumeInUseStays(t *testing.T) {
	h := newHouse(t, noHook)
	_, err := h.CreateFor(t.Context(), named("data"), "c3")
	require.NoError(t, err)
	_, err = h.CreateFor(t.Context(), named("data"), "c2")
	require.NoError(t, err)
	h.Release(t.Context(), "data", "c3")
	require.NoError(t, h.Acquire(t.Context(), "data", "c1"))
	for _, force := range []bool{false, true} {
		err = h.Remove(t.Context(), "data", force)
		assert.True(t, errdefs.IsConflict(err), "%v", err)
		assert.EqualError(t, err, "remove data: volume is in use - [c1, c2]")
	}
	h.Release(t.Context(), "data", "c1")
	h.Release(t.Context(), "data", "c2")
	assert.NoError(t, h.Remove(t.Context(), "data", false))
}

func TestUnknownVolumes(t *testing.T) {
	h := newHouse(t, noHook)
	assert.True(t, errdefs.IsNotFound(h.Remove(t.Context(), "data", false)))
	assert.NoError(t, h.Remove(t.Context(), "data", true))
	assert.True(t, errdefs.IsNotFound(h.Acquire(t.Context(), "data", "c1")))
	_, err := h.Mount(t.Context(), "data", "c1")
	assert.True(t, errdefs.IsNotFound(err))
	assert.NoError(t, h.Unmount(t.Context(), "data", "c1"))
	h.Release(t.Context(), "data", "c1")
}

func TestPruneTakesAnonymousVolumesUnlessAskedForAll(t *testing.T) {
	h := newHouse(t, noHook)
	anonymous, err := h.Create(t.Context(), &types.VolumeCreateConfig{})
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(anonymous.Mountpoint, "f"), make([]byte, 1000), 0o600))
	for _, name := range []string{"data", "used"} {
		_, err := h.Create(t.Context(), named(name))
		require.NoError(t, err)
	}
	require.NoError(t, h.Acquire(t.Context(), "used", "c1"))

	report, err := h.Prune(t.Context(), nil)
	require.NoError(t, err)
	assert.Equal(t, []string{anonymous.Name}, report.VolumesDeleted)
	assert.Equal(t, uint64(1000), report.SpaceReclaimed)

	report, err = h.Prune(t.Context(), one("all", "true"))
	require.NoError(t, err)
	assert.Equal(t, []string{"data"}, report.VolumesDeleted)
	assert.Equal(t, []string{"used"}, h.names(t, nil))

	_, err = h.Prune(t.Context(), one("until", "1h"))
	assert.True(t, errdefs.IsInvalidArgument(err), "%v", err)
}

// The states in which the end of the daemon at any moment leaves a root.
func TestStartFinishesOrUndoesWhatWasInterrupted(t *testing.T) {
	h := newHouse(t, noHook)
	for _, name := range []string{"kept", "lost-directory", "half-removed", "made-anew"} {
		_, err := h.Create(t.Context(), named(name))
		require.NoError(t, err)
	}
	inside := func(path ...string) string { return filepath.Join(append([]string{h.path}, path...)...) }
	require.NoError(t, os.RemoveAll(inside("lost-directory")))
	require.NoError(t, os.MkdirAll(inside(trashPrefix+"1"), 0o700))
	require.NoError(t, os.Rename(inside("half-removed"), inside(trashPrefix+"1", "half-removed")))
	require.NoError(t, os.MkdirAll(inside(trashPrefix+"2", "made-anew", dataDir), 0o700))
	require.NoError(t, os.MkdirAll(inside("half-made"), 0o700))
	require.NoError(t, os.MkdirAll(inside("nearly-made", dataDir), 0o700))
	require.NoError(t, os.MkdirAll(inside("without-record", dataDir), 0o700))
	require.NoError(t, os.WriteFile(inside("without-record", dataDir, "f"), nil, 0o600))
	require.NoError(t, os.MkdirAll(inside("lost+found"), 0o700))

	for range 2 { // the second start finds nothing to do
		h.restart(t)
		want := []string{"kept", "lost-directory", "made-anew", "without-record"}
		assert.Equal(t, want, h.names(t, nil))
		entries, err := os.ReadDir(h.path)
		require.NoError(t, err)
		var dirs []string
		for _, e := range entries {
			dirs = append(dirs, e.Name())
		}
		assert.Equal(t, []string{"kept", "lost+found", "lost-directory", "made-anew", "without-record"}, dirs)
	}
}

func TestADamagedRecordIsNamed(t *testing.T) {
	h := newHouse(t, noHook)
	require.NoError(t, h.store.Put(bucket, "data", record{Name: "../other"}))
	require.NoError(t, h.Stop(t.Context()))
	err := h.Start(t.Context())
	assert.ErrorContains(t, err, `the record of volume "data" is damaged`)
}

func TestCreatesAndRemovesAtTheSameTime(t *testing.T) {
	h := newHouse(t, noHook)
	var wait sync.WaitGroup
	for i := range 8 {
		wait.Go(func() {
			name := "data-" + string(rune('a'+i%2))
			for range 10 {
				if _, err := h.Create(t.Context(), named(name)); !assert.NoError(t, err) {
					return
				}
				if err := h.Remove(t.Context(), name, true); !assert.NoError(t, err) {
					return
				}
			}
		})
	}
	wait.Wait()
	assert.Empty(t, h.names(t, nil))
	entries, err := os.ReadDir(h.path)
	require.NoError(t, err)
	assert.Empty(t, entries)
}

func FuzzOptions(f *testing.F) {
	f.Add("tmpfs", "tmpfs", "size=1m,,ro")
	f.Add("nfs", ":/x", "addr=10.0.0.1")
	f.Fuzz(func(t *testing.T, kind, device, o string) {
		m, err := parseOptions(map[string]string{"type": kind, "device": device, "o": o})
		if err != nil {
			return
		}
		for _, option := range m.Options {
			assert.NotEmpty(t, option)
			assert.False(t, strings.Contains(option, ","))
		}
	})
}
