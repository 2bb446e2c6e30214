package e2e

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// configured prepares the daemon as it is shipped, with a configuration file.
func configured(t *testing.T, e engine, config string, args ...string) *daemon {
	t.Helper()
	file := filepath.Join(t.TempDir(), "config.yaml")
	require.NoError(t, os.WriteFile(file, []byte(config), 0o600))
	d, err := newDaemon(built.daemon, e, append([]string{"--config-file", file}, args...)...)
	require.NoError(t, err)
	t.Cleanup(func() {
		require.NoError(t, d.remove())
		if t.Failed() {
			t.Logf("the daemon's log:\n%s", d.log)
		}
	})
	return d
}
