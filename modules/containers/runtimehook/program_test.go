package runtimehook

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pouchfx/pouchfx/plugins"
)

// shell runs a script as a plugin's program does, and returns what it wrote.
func shell(t *testing.T, script string, change func(*plugins.HookProgram)) (out string, err error) {
	t.Helper()
	p := plugins.HookProgram{Name: "10-x.json", Path: "/bin/sh", Args: []string{"sh", "-c", script}}
	if change != nil {
		change(&p)
	}
	args, err := p.PreStartArgs()
	require.NoError(t, err)
	require.Equal(t, []string{role, plugins.RunProgram}, args[2:4])
	input := filepath.Join(t.TempDir(), "state")
	require.NoError(t, os.WriteFile(input, []byte(state), 0o600))
	stdin, err := os.Open(input)
	require.NoError(t, err)
	defer stdin.Close()
	output, err := os.CreateTemp(t.TempDir(), "")
	require.NoError(t, err)
	defer output.Close()
	err = runProgram(args[4], stdin, output, output)
	text, readErr := os.ReadFile(output.Name())
	require.NoError(t, readErr)
	return string(text), err
}

func TestAProgramGetsTheStateAndAnEnvironmentOfItsOwn(t *testing.T) {
	t.Setenv("SECRET", "the daemon's")
	out, err := shell(t, "cat; echo; env | grep -v -e PWD= -e SHLVL= -e _=", func(p *plugins.HookProgram) { p.Env = []string{"A=b c"} })
	require.NoError(t, err)
	assert.Equal(t, state+"\nA=b c\nPATH="+os.Getenv("PATH")+"\n", sortedTail(out))
	out, err = shell(t, "echo $PATH", func(p *plugins.HookProgram) { p.Env = []string{"PATH=/mine"} })
	require.NoError(t, err)
	assert.Equal(t, "/mine\n", out)
}

// sortedTail puts the two variables behind the state into one order.
func sortedTail(out string) string {
	lines := strings.SplitAfter(out, "\n")
	if len(lines) == 4 && lines[1] > lines[2] {
		lines[1], lines[2] = lines[2], lines[1]
	}
	return strings.Join(lines, "")
}

func TestAProgramThatFailsIsNamed(t *testing.T) {
	out, err := shell(t, "echo no device >&2; exit 3", nil)
	assert.EqualError(t, err, "runtime hook 10-x.json: /bin/sh: exit status 3")
	assert.Equal(t, "no device\n", out, "what it says goes the same way")
	_, err = shell(t, "", func(p *plugins.HookProgram) { p.Path = "/no/such" })
	assert.ErrorContains(t, err, "runtime hook 10-x.json: /no/such: ")
	assert.ErrorContains(t, runProgram("{", nil, nil, nil), "cannot read what to run")
}

func TestAProgramThatTakesTooLongEndsWithAllThatItStarted(t *testing.T) {
	pid := filepath.Join(t.TempDir(), "pid")
	begun := time.Now()
	_, err := shell(t, "sleep 1000 & echo $! > "+pid+"; wait", func(p *plugins.HookProgram) { p.Timeout = 300 * time.Millisecond })
	assert.EqualError(t, err, "runtime hook 10-x.json: /bin/sh did not end within 300ms")
	assert.Less(t, time.Since(begun), 10*time.Second)
	text, err := os.ReadFile(pid)
	require.NoError(t, err)
	var child int
	require.NoError(t, json.Unmarshal(text, &child))
	assert.Eventually(t, func() bool {
		status, err := os.ReadFile("/proc/" + strings.TrimSpace(string(text)) + "/stat")
		return err != nil || strings.Contains(string(status), ") Z ") || syscall.Kill(child, 0) != nil
	}, 10*time.Second, 10*time.Millisecond, "no process is left")
}

func TestAProgramThatLeavesSomethingRunningIsDone(t *testing.T) {
	begun := time.Now()
	_, err := shell(t, "sleep 3 &", nil)
	require.NoError(t, err)
	assert.Less(t, time.Since(begun), 2*time.Second)
}
