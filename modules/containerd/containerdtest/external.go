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
// embeds, without CRI, until the end of the test, and returns its address.
func StockContainerd(t testing.TB) string {
	t.Helper()
	s := newStock(t, `disabled_plugins = ["io.containerd.grpc.v1.cri", "io.containerd.cri.v1.images", "io.containerd.cri.v1.runtime", "io.containerd.nri.v1.nri"]`)
	s.Start(t)
	return s.Address
}

// Stock is an unchanged containerd of the version that the engine embeds.
type Stock struct {
	// Address is that of its socket.
	Address string

	config string // file
	cmd    *exec.Cmd
	log    bytes.Buffer
}

// newStock makes one with additional lines of configuration; it ends with the
// test.
func newStock(t testing.TB, config string) *Stock {
	t.Helper()
	RequireRoot(t)
	dir, err := os.MkdirTemp("/tmp", "pxc")
	require.NoError(t, err)
	t.Cleanup(func() { removeRoot(t, dir) })
	s := &Stock{Address: filepath.Join(dir, "c.sock"), config: filepath.Join(dir, "config.toml")}
	require.NoError(t, os.WriteFile(s.config, fmt.Appendf(nil, `version = 4
root = %q
state = %q
%s
[plugins."io.containerd.server.v1.grpc"]
  address = %q
[plugins."io.containerd.server.v1.ttrpc"]
  address = %q
[plugins."io.containerd.shim.v1.manager"]
  socket_dir = %q
`, filepath.Join(dir, "d"), filepath.Join(dir, "x"), config, s.Address, s.Address+".ttrpc", filepath.Join(dir, "s")), 0o600))
	t.Cleanup(func() {
		s.Stop()
		if t.Failed() {
			t.Logf("containerd's log:\n%s", s.log.String())
		}
	})
	return s
}

// Start has it run and waits until it answers.
func (s *Stock) Start(t testing.TB) {
	t.Helper()
	s.cmd = exec.Command(program(t, "containerd", "tools/containerd", stockPackage), "--config", s.config)
	s.cmd.Stdout, s.cmd.Stderr = &s.log, &s.log
	require.NoError(t, s.cmd.Start())
	c, err := client.New(s.Address)
	require.NoError(t, err)
	defer c.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	serving, err := c.IsServing(ctx)
	require.NoError(t, err)
	require.True(t, serving)
}

// Stop ends it, if it runs; containers go on.
func (s *Stock) Stop() {
	if s.cmd == nil {
		return
	}
	_ = s.cmd.Process.Signal(syscall.SIGTERM)
	_ = s.cmd.Wait()
	s.cmd = nil
}
