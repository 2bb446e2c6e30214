package fsview

import (
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/moby/sys/mountinfo"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

func TestLinksLeadToWhereTheyLeadInTheContainer(t *testing.T) {
	tr := newTree(t)
	tr.file("etc/secret", "the container's")
	tr.file("data/file", "text")
	tr.link("/etc/secret", "absolute")
	tr.link("../../../../../../etc/secret", "up")
	tr.link(tr.outside+"/secret", "out")
	tr.link("data", "dir")
	tr.link("dir/file", "chain")
	tr.link("loop", "loop")
	v := tr.open()
	for name, want := range map[string]string{
		"/absolute": "/etc/secret", "/up": "/etc/secret", "/out": tr.outside + "/secret", "/dir": "/data", "/chain": "/data/file",
		"/dir/../dir/file": "/data/file", "/nosuch/x": "/nosuch/x", "/../..": "/",
	} {
		got, err := v.Resolve(name)
		require.NoError(t, err)
		assert.Equal(t, want, got, name)
	}
	_, err := v.Resolve("/loop/x")
	assert.ErrorIs(t, err, unix.ELOOP)

	st, err := v.Stat("/absolute")
	require.NoError(t, err)
	assert.Equal(t, "absolute", st.Name)
	assert.Equal(t, fs.ModeSymlink, st.Mode.Type())
	assert.Equal(t, "/etc/secret", st.LinkTarget)
	st, err = v.Stat("/dir/")
	require.NoError(t, err)
	assert.True(t, st.Mode.IsDir(), "a slash means the directory")
	assert.Empty(t, st.LinkTarget)
	st, err = v.Stat("/data/file")
	require.NoError(t, err)
	assert.EqualValues(t, 4, st.Size)
	assert.False(t, v.Has("/out"), "there is no such file in the container")
	_, err = v.Stat("/out/")
	assert.Error(t, err)
}

func TestMountsAreThereAsInTheContainer(t *testing.T) {
	tr := newTree(t)
	tr.dir("run")
	tr.link("/run", "var")
	volume := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(volume, "f"), []byte("volume"), 0o644))
	config := filepath.Join(t.TempDir(), "config")
	require.NoError(t, os.WriteFile(config, []byte("config"), 0o644))
	v := tr.open(
		Mount{Source: volume, Destination: "/var/data"}, // by way of a link
		Mount{Source: volume, Destination: "/new/place", ReadOnly: true},
		Mount{Source: config, Destination: "/etc/config"},
	)
	_, _, texts := packed(t, v, "/run/data")
	assert.Equal(t, "volume", texts["data/f"])
	_, _, texts = packed(t, v, "/new")
	assert.Equal(t, "volume", texts["new/place/f"])
	_, _, texts = packed(t, v, "/etc/config")
	assert.Equal(t, "config", texts["config"])
	for dir, want := range map[string][2]bool{"/new/place": {true, true}, "/run/data": {false, true}, "/run": {false, false}} {
		readOnly, mounted, err := v.ReadOnly(dir)
		require.NoError(t, err)
		assert.Equal(t, want, [2]bool{readOnly, mounted}, dir)
	}
	err := v.Unpack(t.Context(), archive(t, reg("x", "")), UnpackOptions{Dir: "/new/place"})
	assert.ErrorIs(t, err, unix.EROFS)
	require.NoError(t, v.Unpack(t.Context(), archive(t, reg("x", "new")), UnpackOptions{Dir: "/run/data"}))
	b, err := os.ReadFile(filepath.Join(volume, "x"))
	require.NoError(t, err)
	assert.Equal(t, "new", string(b))
}

func TestAViewLeavesNoMountsAndKeepsNone(t *testing.T) {
	tr := newTree(t)
	tr.dir("data")
	before, err := mountinfo.GetMounts(nil)
	require.NoError(t, err)
	leader, err := os.Readlink("/proc/self/ns/mnt")
	require.NoError(t, err)
	// What is mounted elsewhere on the host can be unmounted meanwhile.
	elsewhere := t.TempDir()
	require.NoError(t, unix.Mount("tmpfs", elsewhere, "tmpfs", 0, ""))
	v := tr.open(Mount{Source: t.TempDir(), Destination: "/data"})
	during, err := mountinfo.GetMounts(nil)
	require.NoError(t, err)
	assert.Len(t, during, len(before)+1)
	require.NoError(t, unix.Unmount(elsewhere, 0))
	_, err = v.Stat("/data")
	require.NoError(t, err)
	for range 50 {
		v, err := Open(Options{Root: tr.root})
		require.NoError(t, err)
		require.NoError(t, v.Close())
		now, err := os.Readlink("/proc/self/ns/mnt")
		require.NoError(t, err)
		require.Equal(t, leader, now, "the process's first thread stays where it is")
	}
}

// A device in a container is nothing that its limits let it read; we have no
// limits.
func TestNoDeviceIsOpened(t *testing.T) {
	tr := newTree(t)
	require.NoError(t, unix.Mknod(filepath.Join(tr.root, "zero"), unix.S_IFCHR|0o666, int(unix.Mkdev(1, 5))))
	v := tr.open()
	_, err := v.open("/zero", unix.O_RDONLY)
	assert.ErrorIs(t, err, unix.EACCES)
}

func TestProcIsNoDoor(t *testing.T) {
	tr := newTree(t)
	tr.dir("proc")
	v := tr.open(Mount{Source: "/proc", Destination: "/proc"})
	for _, name := range []string{"/proc/self/root/etc/passwd", "/proc/self/cwd/x", "/proc/self/exe"} {
		_, err := v.open(name, unix.O_PATH)
		assert.ErrorIs(t, err, unix.ELOOP, name)
	}
}

func TestAMissingSourceIsAnError(t *testing.T) {
	tr := newTree(t)
	_, err := Open(Options{Root: tr.root, Mounts: []Mount{{Source: "/no/such", Destination: "/x"}}})
	assert.ErrorContains(t, err, "cannot mount /x")
	_, err = Open(Options{Root: "/no/such"})
	assert.ErrorIs(t, err, fs.ErrNotExist)
}
