package limits

import (
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/containerd/errdefs"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pouchfx/pouchfx/types"
)

func newPlugin(t *testing.T) *Plugin {
	t.Helper()
	p, err := New(Config{Memory: 64 << 20, Most: 96 << 20})
	require.NoError(t, err)
	return p
}

func TestPreCreateSetsALimitAndTellsIt(t *testing.T) {
	for name, test := range map[string]struct {
		asked, want int64
		env         string
	}{
		"none":  {0, 64 << 20, "MEMORY_LIMIT=64MiB"},
		"asked": {1 << 30, 1 << 30, "MEMORY_LIMIT=1GiB"},
	} {
		t.Run(name, func(t *testing.T) {
			c := &types.ContainerCreateConfig{HostConfig: &types.HostConfig{}}
			c.HostConfig.Memory = test.asked
			require.NoError(t, newPlugin(t).PreCreate(t.Context(), c))
			assert.Equal(t, test.want, c.HostConfig.Memory)
			assert.Equal(t, []string{test.env}, c.Env)
		})
	}
}

func TestTheRuntimeHookLeavesANoteAndFollowsNoLink(t *testing.T) {
	rootfs, outside := t.TempDir(), filepath.Join(t.TempDir(), "outside")
	require.NoError(t, os.WriteFile(outside, []byte("kept"), 0o600))
	require.NoError(t, os.Symlink(outside, filepath.Join(rootfs, StartNote)))

	priorities, args, err := newPlugin(t).PreStart(t.Context(), &types.Container{BaseFS: rootfs})
	require.NoError(t, err)
	require.Len(t, args, len(priorities))
	hook := &exec.Cmd{Path: args[0][0], Args: args[0][1:], Stdin: strings.NewReader(`{"id":"c1"}`)}
	output, err := hook.CombinedOutput()
	require.NoError(t, err, string(output))

	note, err := os.ReadFile(filepath.Join(rootfs, StartNote))
	require.NoError(t, err)
	assert.Equal(t, `{"id":"c1"}`, string(note))
	kept, err := os.ReadFile(outside)
	require.NoError(t, err)
	assert.Equal(t, "kept", string(kept))
}

func TestPreUpdateLowersWhatIsTooHigh(t *testing.T) {
	for body, want := range map[string]string{
		`{"Memory": 1073741824, "CpuShares": 9007199254740993}`: `{"Memory": 100663296, "CpuShares": 9007199254740993}`,
		`{"Memory": 1048576}`:                     `{"Memory": 1048576}`,
		`{"RestartPolicy": {"Name": "always"}}`:   `{"RestartPolicy": {"Name": "always"}}`,
		`{"Memory": "a daemon refuses this one"}`: `{"Memory": "a daemon refuses this one"}`,
	} {
		changed, err := newPlugin(t).PreUpdate(t.Context(), io.NopCloser(strings.NewReader(body)))
		require.NoError(t, err)
		text, err := io.ReadAll(changed)
		require.NoError(t, err)
		assert.JSONEq(t, want, string(text))
		assert.Equal(t, strings.Contains(body, "9007199254740993"), strings.Contains(string(text), "9007199254740993"))
	}
	_, err := newPlugin(t).PreUpdate(t.Context(), io.NopCloser(strings.NewReader("no json")))
	assert.True(t, errdefs.IsInvalidArgument(err), "%v", err)
}

func TestPostUpdateLeavesANoteAndFollowsNoLink(t *testing.T) {
	rootfs, outside := t.TempDir(), filepath.Join(t.TempDir(), "outside")
	require.NoError(t, os.Symlink(outside, filepath.Join(rootfs, UpdateNote)))
	for range 2 {
		require.NoError(t, newPlugin(t).PostUpdate(t.Context(), rootfs, nil))
	}
	assert.FileExists(t, filepath.Join(rootfs, UpdateNote))
	assert.NoFileExists(t, outside)
}

func TestSizes(t *testing.T) {
	var b Bytes
	require.NoError(t, b.UnmarshalText([]byte("64m")))
	assert.Equal(t, Bytes(64<<20), b)
	for _, bad := range []string{"12q", "", "-1", "0"} {
		assert.ErrorContains(t, b.UnmarshalText([]byte(bad)), "is not a size")
	}
}
