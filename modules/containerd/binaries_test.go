package containerd

import (
	"crypto/sha256"
	"encoding/hex"
	"os"
	"path/filepath"
	"testing"

	"github.com/klauspost/compress/zstd"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestTheLinkOfTheShimStaysWhenTheDaemonIsUpgraded(t *testing.T) {
	dir, z := t.TempDir(), new(zstd.Encoder)
	link, self := filepath.Join(dir, "shim"), filepath.Join(t.TempDir(), "daemon")
	require.NoError(t, os.WriteFile(self, []byte("itself"), 0o755))
	runc := filepath.Join(dir, "0123456789abcdef", "runc")
	require.NoError(t, os.Mkdir(filepath.Dir(runc), 0o711))
	require.NoError(t, os.WriteFile(runc, nil, 0o755))

	for _, version := range []string{"", "one", "one", "two", "", "one"} { // empty: it carries none
		compressed, digest, want, folders := "", "", "itself", 1
		if version != "" {
			sum := sha256.Sum256([]byte(version))
			compressed, digest, want, folders = string(z.EncodeAll([]byte(version), nil)), hex.EncodeToString(sum[:])+"\n", version, 2
		}
		require.NoError(t, installShim(link, self, compressed, digest))
		program, err := os.ReadFile(link)
		require.NoError(t, err)
		assert.Equal(t, want, string(program))
		info, err := os.Stat(link)
		require.NoError(t, err)
		assert.EqualValues(t, 0o755, info.Mode().Perm())
		found, err := filepath.Glob(filepath.Join(dir, "*", "*"))
		require.NoError(t, err)
		assert.Len(t, found, folders, "no shim of an earlier daemon is left")
		assert.FileExists(t, runc)
		assert.FileExists(t, self)
	}
}
