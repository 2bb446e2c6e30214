package initrole

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// The test binary plays the role when it is called by its name.
func TestMain(m *testing.M) {
	if Requested() {
		os.Exit(Run())
	}
	os.Exit(m.Run())
}

func program(t *testing.T, args ...string) (*exec.Cmd, *bytes.Buffer) {
	t.Helper()
	self, err := os.Executable()
	require.NoError(t, err)
	var out bytes.Buffer
	cmd := &exec.Cmd{Path: self, Args: append([]string{"/sbin/" + name, "--"}, args...), Stdout: &out, Stderr: &out, WaitDelay: 10 * time.Second}
	return cmd, &out
}

func TestItEndsAsItsCommandDoes(t *testing.T) {
	for _, c := range []struct {
		args []string
		want int
	}{
		{[]string{"sh", "-c", "exit 7"}, 7},
		{[]string{"sh", "-c", "kill -9 $$"}, 137},
		{[]string{"true"}, 0},
		{[]string{filepath.Join(t.TempDir(), "missing")}, 127},
		{[]string{"/etc/passwd"}, 126},
	} {
		cmd, out := program(t, c.args...)
		_ = cmd.Run()
		assert.Equal(t, c.want, cmd.ProcessState.ExitCode(), "%v: %s", c.args, out)
	}
}

func TestSignalsReachTheCommand(t *testing.T) {
	cmd, _ := program(t, "sh", "-c", "trap 'exit 5' TERM; echo ready; while :; do sleep 0.05; done")
	cmd.Stdout = nil
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	_, err = out.Read(make([]byte, 16))
	require.NoError(t, err)
	require.NoError(t, cmd.Process.Signal(syscall.SIGTERM))
	_ = cmd.Wait()
	assert.Equal(t, 5, cmd.ProcessState.ExitCode())
}
