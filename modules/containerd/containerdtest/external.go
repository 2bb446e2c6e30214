package containerdtest

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/containerd/containerd/v2/client"
	"github.com/stretchr/testify/require"
)

// StockContainerd runs an unchanged containerd of the version that the engine
// embeds, until the end of the test, and returns its address.
func StockContainerd(t testing.TB) string {
	t.Helper()
	RequireRoot(t)
	dir, err := os.MkdirTemp("/tmp", "pxc")
	require.NoError(t, err)
	t.Cleanup(func() { removeRoot(t, dir) })
	address := filepath.Join(dir, "c.sock")
	config := filepath.Join(dir, "config.toml")
	require.NoError(t, os.WriteFile(config, fmt.Appendf(nil, `version = 4
root = %q
state = %q
disabled_plugins = ["io.containerd.grpc.v1.cri", "io.containerd.cri.v1.images", "io.containerd.cri.v1.runtime", "io.containerd.nri.v1.nri"]
[plugins."io.containerd.server.v1.grpc"]
  address = %q
[plugins."io.containerd.server.v1.ttrpc"]
  address = %q
[plugins."io.containerd.shim.v1.manager"]
  socket_dir = %q
`, filepath.Join(dir, "d"), filepath.Join(dir, "x"), address, address+".ttrpc", filepath.Join(dir, "s")), 0o600))

	var log bytes.Buffer
	cmd := exec.Command(program(t, "containerd", "tools/containerd", stockPackage), "--config", config)
	cmd.Stdout, cmd.Stderr = &log, &log
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		_ = cmd.Wait()
		if t.Failed() {
			t.Logf("containerd's log:\n%s", log.String())
		}
	})
	c, err := client.New(address)
	require.NoError(t, err)
	defer c.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	serving, err := c.IsServing(ctx)
	require.NoError(t, err)
	require.True(t, serving)
	return address
}
