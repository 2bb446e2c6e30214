package assets

import (
	"archive/tar"
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/klauspost/compress/zstd"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// packed is a compressed tar of files, whose contents are their names.
func packed(t *testing.T, names ...string) string {
	t.Helper()
	var out bytes.Buffer
	z, err := zstd.NewWriter(&out)
	require.NoError(t, err)
	archive := tar.NewWriter(z)
	for _, name := range names {
		require.NoError(t, archive.WriteHeader(&tar.Header{Name: name, Mode: 0o755, Size: int64(len(name))}))
		_, err = archive.Write([]byte(name))
		require.NoError(t, err)
	}
	require.NoError(t, archive.Close())
	require.NoError(t, z.Close())
	return out.String()
}

func TestProgramsAreUnpackedOnceAndWhole(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "cni")
	whole := packed(t, "bridge", "host-local")
	require.Error(t, unpack(whole[:len(whole)/2], dir))
	assert.NoFileExists(t, filepath.Join(dir, "complete"))

	require.NoError(t, unpack(whole, dir))
	path := filepath.Join(dir, "bridge")
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	assert.Equal(t, "bridge", string(text))

	require.NoError(t, os.Remove(path))
	require.NoError(t, unpack(whole, dir))
	assert.NoFileExists(t, path, "what is complete is not unpacked again")
}

func TestUnpackedProgramsStayInTheirDirectory(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "cni")
	require.NoError(t, unpack(packed(t, "../../escaped", "/etc/absolute"), dir))
	assert.FileExists(t, filepath.Join(dir, "escaped"))
	assert.FileExists(t, filepath.Join(dir, "absolute"))
}
