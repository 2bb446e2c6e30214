package fsview

import (
	"archive/tar"
	"bytes"
	"context"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

func TestEntriesAreNamedAsDockerCpWants(t *testing.T) {
	tr := newTree(t)
	tr.file("dir/sub/a", "a")
	tr.link("dir", "link")
	v := tr.open()
	for name, want := range map[string][]string{
		"/dir":       {"dir/", "dir/sub/", "dir/sub/a"},
		"/dir/":      {"dir/", "dir/sub/", "dir/sub/a"},
		"/dir/.":     {"./", "./sub/", "./sub/a"},
		"/dir/sub/a": {"a"},
		"/link":      {"link"},
		"/link/":     {"link/", "link/sub/", "link/sub/a"},
		"/":          {"/", "/dir/", "/dir/sub/", "/dir/sub/a", "/link"},
	} {
		names, _, _ := packed(t, v, name)
		assert.Equal(t, want, names, name)
	}
	var b bytes.Buffer
	require.NoError(t, v.PackAll(t.Context(), &b))
	names, _, _ := unpacked(t, &b)
	assert.Equal(t, []string{"dir/", "dir/sub/", "dir/sub/a", "link"}, names)
}

func TestEveryKindOfFileIsPacked(t *testing.T) {
	tr := newTree(t)
	tr.file("d/file", "text")
	path := func(name string) string { return filepath.Join(tr.root, "d", name) }
	require.NoError(t, os.Link(path("file"), path("hard")))
	tr.link("file", "d/soft")
	require.NoError(t, unix.Mkfifo(path("fifo"), 0o600))
	require.NoError(t, unix.Mknod(path("null"), unix.S_IFCHR|0o666, int(unix.Mkdev(1, 3))))
	l, err := net.Listen("unix", path("socket"))
	require.NoError(t, err)
	defer l.Close()
	tr.file("d/program", "x")
	require.NoError(t, os.Chown(path("program"), 1000, 1001))
	require.NoError(t, unix.Chmod(path("program"), 0o4755))
	when := time.Unix(1e9, 0)
	require.NoError(t, os.Chtimes(path("program"), when, when))
	caps := []byte("\x01\x00\x00\x02\x00\x20\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00") // CAP_NET_RAW
	if err := unix.Setxattr(path("program"), capability, caps, 0); err != nil {
		caps = nil // the file system cannot
	}
	names, headers, texts := packed(t, tr.open(), "/d")
	assert.Equal(t, []string{"d/", "d/fifo", "d/file", "d/hard", "d/null", "d/program", "d/soft"}, names)
	assert.Equal(t, "text", texts["d/file"])
	assert.Equal(t, byte(tar.TypeLink), headers["d/hard"].Typeflag)
	assert.Equal(t, "d/file", headers["d/hard"].Linkname)
	assert.Equal(t, "file", headers["d/soft"].Linkname)
	assert.Equal(t, byte(tar.TypeFifo), headers["d/fifo"].Typeflag)
	assert.Equal(t, [2]int64{1, 3}, [2]int64{headers["d/null"].Devmajor, headers["d/null"].Devminor})
	p := headers["d/program"]
	assert.Equal(t, []any{1000, 1001, int64(0o4755), when.Unix(), string(caps)},
		[]any{p.Uid, p.Gid, p.Mode, p.ModTime.Unix(), p.PAXRecords[xattrPrefix+capability]})
}

// breaking fails after some bytes, as a client that has gone.
type breaking struct{ left int }

func (b *breaking) Write(p []byte) (int, error) {
	if b.left -= len(p); b.left < 0 {
		return 0, io.ErrClosedPipe
	}
	return len(p), nil
}

func TestPackingEndsWithItsClient(t *testing.T) {
	tr := newTree(t)
	tr.file("large", strings.Repeat("x", 1<<20))
	v := tr.open()
	assert.ErrorIs(t, v.Pack(t.Context(), &breaking{100 << 10}, "/large"), io.ErrClosedPipe)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	assert.ErrorIs(t, v.Pack(ctx, io.Discard, "/large"), context.Canceled)
}

// A file that is cut or grows while it is read makes an archive all the same.
func TestAFileThatChangesIsPackedWithTheSizeThatItHad(t *testing.T) {
	tr := newTree(t)
	tr.file("f", "0123456789")
	v := tr.open()
	for text, want := range map[string]string{"0123": "0123\x00\x00\x00\x00\x00\x00", "0123456789abc": "0123456789"} {
		var b bytes.Buffer
		p := newPacker(t.Context(), v, &b)
		f, err := v.open("/f", unix.O_PATH)
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(filepath.Join(tr.root, "f"), []byte(text), 0o644))
		require.NoError(t, p.file(f, &tar.Header{Name: "f", Typeflag: tar.TypeReg, Size: 10}))
		require.NoError(t, p.tar.Close())
		_, _, texts := unpacked(t, &b)
		assert.Equal(t, want, texts["f"])
		f.Close()
	}
}

func TestADeepTreeTakesFewDescriptors(t *testing.T) {
	tr := newTree(t)
	tr.file(strings.Repeat("d/", 400)+"f", "deep")
	v := tr.open()
	var limit unix.Rlimit
	require.NoError(t, unix.Getrlimit(unix.RLIMIT_NOFILE, &limit))
	low := limit
	low.Cur = 128
	require.NoError(t, unix.Setrlimit(unix.RLIMIT_NOFILE, &low))
	defer unix.Setrlimit(unix.RLIMIT_NOFILE, &limit)
	assert.NoError(t, v.Pack(t.Context(), io.Discard, "/d"))
}
