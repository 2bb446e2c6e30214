package fsview

import (
	"archive/tar"
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// sparse is an archive with a file as tar --sparse --format=posix writes it:
// with text at an offset, and holes for the rest of its size.
func sparse(t testing.TB, name, text string, offset, size int64) []byte {
	t.Helper()
	extents := fmt.Sprintf("2\n%d\n%d\n%d\n0\n", offset, len(text), size)
	data := append([]byte(extents), make([]byte, 512-len(extents))...)
	packed := archive(t, entry{tar.Header{Name: "x", Typeflag: tar.TypeReg, PAXRecords: map[string]string{
		"XXX.sparse.major": "1", "XXX.sparse.minor": "0", "XXX.sparse.name": name, "XXX.sparse.realsize": strconv.FormatInt(size, 10),
	}}, string(data) + text})
	all, err := io.ReadAll(packed)
	require.NoError(t, err)
	return bytes.ReplaceAll(all, []byte("XXX.sparse."), []byte("GNU.sparse.")) // Go refuses to write it
}

func TestHolesOfAnArchiveTakeNoRoom(t *testing.T) {
	tr := newTree(t)
	require.NoError(t, tr.open().Unpack(t.Context(), bytes.NewReader(sparse(t, "f", "text", 64<<20, 1<<30)), UnpackOptions{Dir: "/"}))
	f, err := os.Open(filepath.Join(tr.root, "f"))
	require.NoError(t, err)
	defer f.Close()
	var st unix.Stat_t
	require.NoError(t, unix.Fstat(int(f.Fd()), &st))
	assert.EqualValues(t, 1<<30, st.Size)
	assert.Less(t, st.Blocks*512, int64(1<<20))
	text := make([]byte, 6)
	_, err = f.ReadAt(text, 64<<20-1)
	require.NoError(t, err)
	assert.Equal(t, "\x00text\x00", string(text))
}

func TestHolesLargerThanTheDiskAreRefused(t *testing.T) {
	tr := newTree(t)
	require.NoError(t, unix.Mount("tmpfs", tr.root, "tmpfs", 0, "size=30m"))
	defer func() { require.NoError(t, unix.Unmount(tr.root, 0)) }()
	v := tr.open()
	err := v.Unpack(t.Context(), bytes.NewReader(sparse(t, "f", "text", 0, 1<<60)), UnpackOptions{Dir: "/"})
	assert.ErrorIs(t, err, unix.ENOSPC)
	assert.ErrorContains(t, err, "/f")

	var many []byte
	for i := range 5 {
		one := sparse(t, strconv.Itoa(i), "text", 0, 10<<20-4096)
		many = append(many, one[:len(one)-1024]...) // without the end of the archive
	}
	err = v.Unpack(t.Context(), bytes.NewReader(many), UnpackOptions{Dir: "/"})
	assert.ErrorIs(t, err, unix.ENOSPC)
	assert.FileExists(t, filepath.Join(tr.root, "2"))
	assert.NoFileExists(t, filepath.Join(tr.root, "4"), "all together may not be larger than what is free")
}
