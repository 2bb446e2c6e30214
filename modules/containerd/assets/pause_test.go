package assets

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// pauseAfter runs a script as process 1 of a new process namespace and then
// pause in its place.
func pauseAfter(t *testing.T, script string) *exec.Cmd {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("a new process namespace needs root")
	}
	program := filepath.Join(t.TempDir(), "pause")
	out, err := exec.Command("../../../tools/build-pause", program).CombinedOutput()
	require.NoError(t, err, "%s", out)

	cmd := exec.Command("sh", "-c", script+"\nexec "+program)
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWPID, Pdeathsig: syscall.SIGKILL}
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	waitIdle(t, cmd)
	return cmd
}

// waitIdle waits until pause sleeps and has taken every signal.
func waitIdle(t *testing.T, cmd *exec.Cmd) {
	t.Helper()
	require.Eventually(t, func() bool {
		return strings.Contains(proc(t, cmd, "stat"), "(pause) S") &&
			strings.Contains(proc(t, cmd, "status"), "ShdPnd:\t0000000000000000\n")
	}, 10*time.Second, time.Millisecond)
}

func proc(t *testing.T, cmd *exec.Cmd, file string) string {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/%s", cmd.Process.Pid, file))
	require.NoError(t, err)
	return string(text)
}

// children are the process ids of the children, those too that have ended and
// are not reaped.
func children(t *testing.T, cmd *exec.Cmd) []string {
	t.Helper()
	return strings.Fields(proc(t, cmd, fmt.Sprintf("task/%d/children", cmd.Process.Pid)))
}

func TestPauseReapsOrphans(t *testing.T) {
	cmd := pauseAfter(t, "true & (sleep 1000 & sleep 1000 &)")
	reaped := func(n int) func() bool {
		return func() bool { return len(children(t, cmd)) == n }
	}
	require.Eventually(t, reaped(2), 10*time.Second, time.Millisecond, "it inherits a dead child")
	for left := range 2 {
		pid, err := strconv.Atoi(children(t, cmd)[0])
		require.NoError(t, err)
		require.NoError(t, syscall.Kill(pid, syscall.SIGKILL))
		require.Eventually(t, reaped(1-left), 10*time.Second, time.Millisecond)
	}
}

func TestPauseEndsOnlyWhenAsked(t *testing.T) {
	for _, end := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT} {
		cmd := pauseAfter(t, "")
		for _, other := range []syscall.Signal{syscall.SIGHUP, syscall.SIGQUIT, syscall.SIGUSR1, syscall.SIGPIPE} {
			require.NoError(t, cmd.Process.Signal(other))
		}
		waitIdle(t, cmd)
		late := time.AfterFunc(time.Second, func() { _ = cmd.Process.Kill() })
		require.NoError(t, cmd.Process.Signal(end))
		require.NoError(t, cmd.Wait(), "its status is 0, and it was not killed for being late")
		late.Stop()
	}
}

func TestPauseIsSmall(t *testing.T) {
	cmd := pauseAfter(t, "")
	for line := range strings.Lines(proc(t, cmd, "smaps_rollup")) {
		if size, found := strings.CutPrefix(line, "Rss:"); found {
			kib, err := strconv.Atoi(strings.Fields(size)[0])
			require.NoError(t, err)
			t.Log(kib, "KiB resident,", proc(t, cmd, "statm"))
			require.LessOrEqual(t, kib, 32)
			return
		}
	}
	t.Fatal("no resident size")
}
