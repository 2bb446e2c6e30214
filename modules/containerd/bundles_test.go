package containerd

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestBundlesGetTheShimOfTheirPod(t *testing.T) {
	dir := t.TempDir()
	write := func(file, text string) {
		require.NoError(t, os.MkdirAll(filepath.Join(dir, filepath.Dir(file)), 0o700))
		require.NoError(t, os.WriteFile(filepath.Join(dir, file), []byte(text), 0o600))
	}
	write("pod/shim-binary-path", "/kata")
	write("pod/bootstrap.json", "{}")
	write("container/sandbox", "pod")
	write("own/sandbox", "pod")
	write("own/shim-binary-path", "/own")
	write("orphan/sandbox", "gone")
	write("unfinished/config.json", "{}")

	require.NoError(t, completeBundles(dir, "/ours"))
	for bundle, want := range map[string]string{"pod": "/kata", "container": "/kata", "own": "/own", "orphan": "/ours"} {
		shim, err := os.ReadFile(filepath.Join(dir, bundle, "shim-binary-path"))
		require.NoError(t, err, bundle)
		assert.Equal(t, want, string(shim), bundle)
	}
	assert.NoFileExists(t, filepath.Join(dir, "unfinished", "shim-binary-path"))
	require.NoError(t, completeBundles(filepath.Join(dir, "absent"), "/ours"))
}
