package runtimehook

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestItBringsLoopbackUp(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root: it makes a network namespace")
	}
	other := exec.Command("cat") // runs until its input ends
	other.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET}
	stdin, err := other.StdinPipe()
	require.NoError(t, err)
	require.NoError(t, other.Start())
	defer func() { stdin.Close(); require.NoError(t, other.Wait()) }()
	state := fmt.Sprintf(`{"ociVersion":"1.3.0","id":"x","status":"creating","pid":%d,"bundle":"/b"}`, other.Process.Pid)
	routes := func() string { // the loopback network's routes appear with it
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/net/fib_trie", other.Process.Pid))
		require.NoError(t, err)
		return string(text)
	}
	require.NotContains(t, routes(), "127.0.0.1")
	require.NoError(t, run(network, strings.NewReader(state)))
	assert.Contains(t, routes(), "127.0.0.1")
	require.NoError(t, run(network, strings.NewReader(state)), "twice is as good as once")
}

func TestItRefusesWhatItDoesNotKnow(t *testing.T) {
	for name, state := range map[string]string{"other": `{"pid":1}`, network: "nonsense", "network ": "{}"} {
		assert.Error(t, run(name, strings.NewReader(state)), name)
	}
	assert.Error(t, run(network, strings.NewReader(`{}`)))
	assert.Error(t, run(network, strings.NewReader(`{"pid":2147483646}`)))
}
