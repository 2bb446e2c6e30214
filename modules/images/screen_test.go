package images

import (
	"archive/tar"
	"bytes"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

// entries is an archive with empty entries.
func entries(t testing.TB, headers ...tar.Header) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, h := range headers {
		require.NoError(t, w.WriteHeader(&h))
	}
	require.NoError(t, w.Close())
	return b.Bytes()
}

func TestScreeningEndsWhenItsReaderStops(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	r, w := io.Pipe()
	go func() { // a client that sends without an end
		for {
			if _, err := w.Write(entries(t, tar.Header{Name: "a", Typeflag: tar.TypeSymlink, Linkname: "b"})[:512]); err != nil {
				return
			}
		}
	}()
	s := screened(r)
	_, err := io.ReadFull(s, make([]byte, 4096))
	require.NoError(t, err)
	require.NoError(t, s.Close())
	require.NoError(t, r.Close())
}

// A file with holes makes much of little.
func TestScreeningRefusesFilesWithHoles(t *testing.T) {
	file := filepath.Join(t.TempDir(), "holes")
	require.NoError(t, os.WriteFile(file, []byte("x"), 0o600))
	require.NoError(t, os.Truncate(file, 1<<40))
	for _, format := range []string{"posix", "gnu"} {
		archive, err := exec.Command("tar", "--sparse", "--format="+format, "-cf", "-", "-C", filepath.Dir(file), "holes").Output()
		require.NoError(t, err)
		assert.ErrorContains(t, screen(bytes.NewReader(archive), io.Discard), "a file with holes")
	}
}

// Whatever an archive is, only files and symbolic links of it are passed on.
func FuzzScreen(f *testing.F) {
	f.Add([]byte("garbage"))
	f.Add(entries(f, tar.Header{Name: "manifest.json", Typeflag: tar.TypeReg}, tar.Header{Name: "../x", Typeflag: tar.TypeLink, Linkname: "/etc/passwd"}))
	f.Add(entries(f, tar.Header{Name: "d", Typeflag: tar.TypeBlock, Devmajor: 8}, tar.Header{Name: "l", Typeflag: tar.TypeSymlink, Linkname: ".."}))
	f.Fuzz(func(t *testing.T, archive []byte) {
		var out bytes.Buffer
		if screen(bytes.NewReader(archive), &out) != nil {
			return
		}
		for r := tar.NewReader(&out); ; {
			h, err := r.Next()
			if err == io.EOF {
				return
			}
			require.NoError(t, err, "what is passed on is an archive")
			assert.Contains(t, []byte{tar.TypeReg, tar.TypeSymlink}, h.Typeflag)
		}
	})
}
