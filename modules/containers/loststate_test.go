package containers

import (
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pouchfx/pouchfx/modules/containerd/shim"
)

func TestOnlyTheShimOfALostContainerIsEnded(t *testing.T) {
	waiting := func(name, id string) *exec.Cmd {
		cmd := exec.Command("/bin/sh")
		cmd.Args = []string{"/somewhere/" + name, "-c", "read _", "-namespace", "pouchfx", "-id", id}
		in, err := cmd.StdinPipe()
		require.NoError(t, err)
		require.NoError(t, cmd.Start())
		t.Cleanup(func() {
			in.Close()
			_ = cmd.Wait() // twice is an error
		})
		return cmd
	}
	lost, other := strings.Repeat("a", 64), strings.Repeat("b", 64)
	ended, stays, stranger := waiting(shim.Name, lost), waiting(shim.Name, other), waiting("program", lost)
	require.NoError(t, endShim(lost))
	require.Error(t, ended.Wait())
	assert.Equal(t, syscall.SIGKILL, ended.ProcessState.Sys().(syscall.WaitStatus).Signal())
	for _, cmd := range []*exec.Cmd{stays, stranger} {
		assert.NoError(t, cmd.Process.Signal(syscall.Signal(0)), cmd.Args[0])
	}
	require.NoError(t, endShim(lost), "there is none any more")
}
