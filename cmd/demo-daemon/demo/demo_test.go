package demo

import (
	"bytes"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/containerd/containerd/v2/core/mount"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/moby/sys/mountinfo"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pouchfx/pouchfx/modules/lifecycle"
)

func TestClaimsThatDoNotHoldAreCounted(t *testing.T) {
	var out bytes.Buffer
	n := newNarrator(&out)
	n.claim(true, "seen", "water is %s", "wet")
	n.claim(false, "not seen", "fire is cold")
	assert.Equal(t, 2, n.claims)
	assert.Equal(t, 1, n.failed)
	assert.Equal(t, "proved  water is wet\n          seen\nFALSE   fire is cold\n          not seen\n", out.String(), "without colours: this is no terminal")
}

func TestTheImageOfTheGuestCanBePulled(t *testing.T) {
	old := guest
	guest = []byte("a program")
	t.Cleanup(func() { guest = old })
	server := startRegistry()
	defer server.Close()

	reference, digest, err := push(t.Context(), server)
	require.NoError(t, err)
	ref, err := name.ParseReference(reference, name.Insecure)
	require.NoError(t, err)
	image, err := remote.Image(ref)
	require.NoError(t, err)

	got, err := image.Digest()
	require.NoError(t, err)
	assert.Equal(t, digest, got.String())
	files := mutate.Extract(image)
	defer files.Close()
	content, err := io.ReadAll(files)
	require.NoError(t, err)
	assert.Contains(t, string(content), "a program")
}

func TestAProcessOfTheHostIsInNoContainer(t *testing.T) {
	_, err := tracesOf(os.Getpid())
	assert.Error(t, err)
}

func TestTheTimelineIsSplitByPhase(t *testing.T) {
	entries := []lifecycle.Entry{
		{Phase: lifecycle.Start, Name: "plugin diary PreStartHook", Took: time.Millisecond},
		{Phase: lifecycle.Start, Name: "containerd.(*Engine).Start", Took: time.Millisecond},
		{Phase: lifecycle.Stop, Name: "store"},
	}
	starts := phase(entries, lifecycle.Start)
	assert.Equal(t, entries[:2], starts)
	assert.True(t, follows(starts, "diary", "containerd.(*Engine)"))
	assert.False(t, follows(starts, "containerd.(*Engine)", "diary"))
	assert.False(t, follows(starts, "nobody", "diary"))
	assert.False(t, follows(starts, "diary", "nobody"))
	assert.Equal(t, "     1.00 ms  plugin diary PreStartHook\n", table(starts[:1]))
}

func TestEndAllEndsProcessesAndMountsOfTheRoot(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root: it mounts a file system")
	}
	root := t.TempDir()
	process := exec.Command("sh", "-c", "read line", root)
	_, err := process.StdinPipe() // it waits for a line that never comes
	require.NoError(t, err)
	require.NoError(t, process.Start())
	dir := filepath.Join(root, "mounted")
	require.NoError(t, os.Mkdir(dir, 0o700))
	require.NoError(t, (&mount.Mount{Type: "tmpfs", Source: "tmpfs"}).Mount(dir))

	require.NoError(t, endAll(root))

	assert.Error(t, process.Wait(), "it was killed")
	left, err := mountinfo.GetMounts(mountinfo.PrefixFilter(root))
	require.NoError(t, err)
	assert.Empty(t, left)
}
