package fsview

import (
	"archive/tar"
	"bytes"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/containerd/errdefs"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

func TestUnpackMakesWhatWasPacked(t *testing.T) {
	from, to := newTree(t), newTree(t)
	from.file("d/file", "text")
	from.file("d/sub/program", "#!")
	path := func(tr *tree, name string) string { return filepath.Join(tr.root, name) }
	require.NoError(t, os.Link(path(from, "d/file"), path(from, "d/hard")))
	from.link("/somewhere/else", "d/soft")
	require.NoError(t, unix.Mkfifo(path(from, "d/fifo"), 0o600))
	require.NoError(t, os.Chown(path(from, "d/sub/program"), 7, 8))
	require.NoError(t, unix.Chmod(path(from, "d/sub/program"), 0o4711))
	when := time.Unix(1e9, 0)
	require.NoError(t, os.Chtimes(path(from, "d/sub"), when, when))

	var b bytes.Buffer
	require.NoError(t, from.open().Pack(t.Context(), &b, "/d"))
	again := bytes.NewReader(b.Bytes())
	v := to.open()
	for range 2 { // over what is there, too
		again.Seek(0, io.SeekStart)
		require.NoError(t, v.Unpack(t.Context(), again, UnpackOptions{Dir: "/", NoOverwriteDirNonDir: true}))
	}
	assert.Equal(t, "text", to.read("d/file"))
	target, err := os.Readlink(path(to, "d/soft"))
	require.NoError(t, err)
	assert.Equal(t, "/somewhere/else", target)
	var file, hard, program, sub, fifo unix.Stat_t
	require.NoError(t, unix.Stat(path(to, "d/file"), &file))
	require.NoError(t, unix.Stat(path(to, "d/hard"), &hard))
	require.NoError(t, unix.Stat(path(to, "d/sub/program"), &program))
	require.NoError(t, unix.Stat(path(to, "d/sub"), &sub))
	require.NoError(t, unix.Stat(path(to, "d/fifo"), &fifo))
	assert.Equal(t, file.Ino, hard.Ino)
	assert.Equal(t, [3]uint32{7, 8, unix.S_IFREG | 0o4711}, [3]uint32{program.Uid, program.Gid, program.Mode})
	assert.Equal(t, when.Unix(), sub.Mtim.Sec)
	assert.EqualValues(t, unix.S_IFIFO|0o600, fifo.Mode)
}

func TestOwnerReplacesTheArchives(t *testing.T) {
	tr := newTree(t)
	e := reg("f", "x")
	e.Uid = 1
	require.NoError(t, tr.open().Unpack(t.Context(), archive(t, e), UnpackOptions{Dir: "/", Owner: &Owner{1000, 1001}}))
	info, err := os.Stat(filepath.Join(tr.root, "f"))
	require.NoError(t, err)
	st := info.Sys().(*syscall.Stat_t)
	assert.Equal(t, [2]uint32{1000, 1001}, [2]uint32{st.Uid, st.Gid})
}

// Whatever an archive says, it reaches nothing but the container's files.
func TestNothingEscapes(t *testing.T) {
	link := func(kind byte, name, target string) entry {
		return entry{tar.Header{Name: name, Typeflag: kind, Linkname: target}, ""}
	}
	tr := newTree(t)
	out := tr.outside
	for name, tc := range map[string]struct {
		entries []entry
		refused string // the error's text; what is not refused lands inside
		inside  string
	}{
		"parent":            {entries: []entry{reg("../../escaped", "x")}, refused: "outside of"},
		"parent within":     {entries: []entry{reg("a/../../escaped", "x")}, refused: "outside of"},
		"only dots":         {entries: []entry{reg("..", "x")}, refused: "outside of"},
		"absolute":          {entries: []entry{reg(out+"/escaped", "x")}, inside: "in" + out + "/escaped"},
		"absolute parent":   {entries: []entry{reg("/../../escaped2", "x")}, inside: "in/escaped2"},
		"through a link":    {entries: []entry{link(tar.TypeSymlink, "l1", out), reg("l1/escaped", "x")}, refused: "no such file"}, // in the container it leads to nothing
		"up through a link": {entries: []entry{link(tar.TypeSymlink, "l2", "../../../../../.."), reg("l2/escaped3", "x")}, inside: "escaped3"},
		"over a link":       {entries: []entry{link(tar.TypeSymlink, "l3", out+"/secret"), reg("l3", "x")}, inside: "in/l3"},
		"dir over a link":   {entries: []entry{link(tar.TypeSymlink, "l4", out), {tar.Header{Name: "l4", Typeflag: tar.TypeDir, Mode: 0o700}, ""}}, inside: "in/l4"},
		"hard link up":      {entries: []entry{link(tar.TypeLink, "h1", "../../outside/secret")}, refused: "outside of"},
		"hard link out":     {entries: []entry{link(tar.TypeLink, "h2", out+"/secret")}, refused: "no such file"},
		"hard link by link": {entries: []entry{link(tar.TypeSymlink, "l5", out), link(tar.TypeLink, "h3", "l5/secret")}, refused: "no such file"},
		"unknown type":      {entries: []entry{{tar.Header{Name: "odd", Typeflag: 'Q'}, ""}}, refused: "not supported"},
	} {
		t.Run(name, func(t *testing.T) {
			tr.dir("in")
			err := tr.open().Unpack(t.Context(), archive(t, tc.entries...), UnpackOptions{Dir: "/in"})
			if tc.refused != "" {
				assert.ErrorContains(t, err, tc.refused)
			} else {
				require.NoError(t, err)
				_, err := os.Lstat(filepath.Join(tr.root, tc.inside))
				assert.NoError(t, err)
			}
			tr.untouched()
		})
	}
}

func TestADeviceInAnArchiveIsOnlyEverInTheContainer(t *testing.T) {
	tr := newTree(t)
	v := tr.open()
	dev := entry{tar.Header{Name: "disk", Typeflag: tar.TypeBlock, Devmajor: 8, Mode: 0o666}, ""}
	require.NoError(t, v.Unpack(t.Context(), archive(t, dev), UnpackOptions{Dir: "/"}))
	info, err := os.Lstat(filepath.Join(tr.root, "disk"))
	require.NoError(t, err)
	assert.Equal(t, fs.ModeDevice, info.Mode().Type())
	_, err = v.open("/disk", unix.O_RDWR)
	assert.ErrorIs(t, err, unix.EACCES)
	require.NoError(t, v.Unpack(t.Context(), archive(t, reg("disk", "file")), UnpackOptions{Dir: "/"}))
	assert.Equal(t, "file", tr.read("disk"), "it is replaced, not written to")
}

func TestDirectoriesAndOthersAreKeptApart(t *testing.T) {
	tr := newTree(t)
	tr.file("dir/f", "kept")
	tr.file("file", "kept")
	v := tr.open()
	dir := entry{tar.Header{Name: "file", Typeflag: tar.TypeDir, Mode: 0o755}, ""}
	for want, e := range map[string]entry{
		`cannot overwrite directory "/dir" with non-directory "/"`:  reg("dir", "x"),
		`cannot overwrite non-directory "/file" with directory "/"`: dir,
	} {
		err := v.Unpack(t.Context(), archive(t, e), UnpackOptions{Dir: "/", NoOverwriteDirNonDir: true})
		assert.EqualError(t, err, want)
		assert.True(t, errdefs.IsInvalidArgument(err))
	}
	assert.Equal(t, "kept", tr.read("dir/f"))
	require.NoError(t, v.Unpack(t.Context(), archive(t, reg("dir", "x"), dir), UnpackOptions{Dir: "/"}))
	assert.Equal(t, "x", tr.read("dir"))
	info, err := os.Stat(filepath.Join(tr.root, "file"))
	require.NoError(t, err)
	assert.True(t, info.IsDir())
}

// Deleting the place of a mount would take the mount away from the container.
func TestPlacesOfMountsStay(t *testing.T) {
	tr := newTree(t)
	volume := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(volume, "f"), []byte("kept"), 0o644))
	v := tr.open(Mount{Source: filepath.Join(volume, "f"), Destination: "/etc/file"}, Mount{Source: volume, Destination: "/data/sub"})
	for _, name := range []string{"etc/file", "etc", "data/sub", "data"} {
		err := v.Unpack(t.Context(), archive(t, reg(name, "replaced")), UnpackOptions{Dir: "/"})
		assert.ErrorIs(t, err, unix.EBUSY, name)
		b, err := os.ReadFile(filepath.Join(volume, "f"))
		require.NoError(t, err)
		assert.Equal(t, "kept", string(b))
	}
}

func TestATreeTooDeepToRemoveIsAnError(t *testing.T) {
	tr := newTree(t)
	deep := &tree{t, filepath.Join(tr.root, "d"), ""}
	deep.dir(strings.Repeat("d/", 600))
	v := tr.open()
	assert.ErrorIs(t, v.Unpack(t.Context(), archive(t, reg("d", "x")), UnpackOptions{Dir: "/"}), unix.ENAMETOOLONG)
}

// A container that exchanges a directory and a link to the host all the time.
func TestAContainerThatSwapsNamesReachesNothing(t *testing.T) {
	tr := newTree(t)
	tr.file("a/x/secret", "harmless")
	tr.file("a/x/f", "harmless")
	tr.link(tr.outside, "b")
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		for {
			select {
			case <-stop:
				return
			default:
			}
			_ = unix.Renameat2(unix.AT_FDCWD, filepath.Join(tr.root, "a/x"), unix.AT_FDCWD, filepath.Join(tr.root, "b"), unix.RENAME_EXCHANGE)
		}
	}()
	v := tr.open()
	for range 300 {
		var b bytes.Buffer
		if v.Pack(t.Context(), &b, "/a") == nil {
			_, _, texts := unpacked(t, &b)
			for _, text := range texts {
				assert.NotContains(t, text, "secret")
			}
		}
		_ = v.Unpack(t.Context(), archive(t, reg("x/secret", "overwritten"), reg("x/new", "n")), UnpackOptions{Dir: "/a"})
		tr.untouched()
	}
	close(stop)
	<-stopped
}

// A FIFO in the place of a file must not hold the daemon.
func TestAFifoHoldsNobody(t *testing.T) {
	tr := newTree(t)
	require.NoError(t, unix.Mkfifo(filepath.Join(tr.root, "f"), 0o600))
	v := tr.open()
	done := make(chan error, 1)
	go func() { done <- v.Unpack(t.Context(), archive(t, reg("f", "x")), UnpackOptions{Dir: "/"}) }()
	select {
	case err := <-done:
		assert.NoError(t, err)
	case <-time.After(10 * time.Second):
		t.Fatal("it waits for somebody to open the FIFO")
	}
}

func FuzzUnpack(f *testing.F) {
	tr := newTree(f)
	read := func(r io.Reader) []byte { b, _ := io.ReadAll(r); return b }
	f.Add(read(archive(f, reg("a/b", "text"), entry{tar.Header{Name: "l", Typeflag: tar.TypeSymlink, Linkname: "/"}, ""}, reg("l/etc/x", "y"))))
	f.Add(read(archive(f, entry{tar.Header{Name: "../x", Typeflag: tar.TypeDir}, ""}, entry{tar.Header{Name: "h", Typeflag: tar.TypeLink, Linkname: "../../outside/secret"}, ""})))
	v := tr.open()
	f.Fuzz(func(t *testing.T, data []byte) {
		tr := &tree{t, tr.root, tr.outside}
		_ = v.Unpack(t.Context(), bytes.NewReader(data), UnpackOptions{Dir: "/"})
		tr.untouched()
	})
}
