package e2e

import (
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/moby/moby/client"
	"github.com/stretchr/testify/require"
)

// dockerDaemon starts Docker's own daemon, with its bridge where there is an
// iptables for it.
func dockerDaemon(t testing.TB) *daemon {
	t.Helper()
	dockerd, err := exec.LookPath("dockerd")
	if err != nil {
		t.Skip("dockerd is not on PATH (Debian: docker.io)")
	}
	root := shortRoot(t)
	d := &daemon{root: root, socket: filepath.Join(root, "d.sock"), binary: dockerd, log: new(syncBuffer)}
	d.args = []string{"--data-root", filepath.Join(root, "d"), "--exec-root", filepath.Join(root, "x"), "-p", filepath.Join(root, "pid"), "-H", "unix://" + d.socket}
	if !dockerHasBridge() {
		d.args = append(d.args, "--bridge", "none", "--iptables=false", "--ip6tables=false")
	}
	d.client, err = client.New(client.WithHost("unix://" + d.socket))
	require.NoError(t, err)
	require.NoError(t, d.start())
	t.Cleanup(func() {
		d.signal(syscall.SIGTERM)
		d.client.Close()
		_ = waitFor(30*time.Second, func() bool { return len(processesOf(root)) == 0 })
	})
	return d
}

func dockerHasBridge() bool {
	_, err := exec.LookPath("iptables")
	return err == nil
}
