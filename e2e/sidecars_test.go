package e2e

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/moby/moby/client"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// helperPid waits for the process id that a helper has written.
func helperPid(t *testing.T, file string, not int) (pid int) {
	t.Helper()
	require.NoError(t, waitFor(20*time.Second, func() bool {
		text, _ := os.ReadFile(file)
		pid, _ = strconv.Atoi(strings.TrimSpace(string(text)))
		return pid > 0 && pid != not
	}), file)
	return pid
}

// running tells whether a process runs, and is not waiting to be reaped.
func running(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	return err == nil && !strings.Contains(string(stat), ") Z ")
}

func TestSidecarsLiveAndDieWithTheDaemon(t *testing.T) {
	dir := t.TempDir()
	d := configured(t, embedded, `
plugins:
  sidecars:
    helpers:
      - name: helper
        command: [/bin/sh, -c, 'echo $$ >$DIR/pid; echo at work; trap "echo good night >$DIR/end; exit" TERM; while :; do sleep 0.01; done']
        env: {DIR: `+dir+`, PATH: "/bin:/usr/bin"}
        ready: {file: `+dir+`/pid}
        restart: {first: 10ms}
`)
	require.NoError(t, d.start())
	first := helperPid(t, dir+"/pid", 0)
	assert.Contains(t, d.log.String(), "at work")
	d.load(t, "box")
	assert.Equal(t, "hello\n", d.run(t, "echo hello").stdout)

	require.NoError(t, syscall.Kill(first, syscall.SIGKILL))
	second := helperPid(t, dir+"/pid", first)
	assert.True(t, running(second))
	assert.Contains(t, d.log.String(), "signal: killed")

	d.signal(syscall.SIGKILL)
	require.NoError(t, waitFor(10*time.Second, func() bool { return !running(second) }), "it outlives a killed daemon")
	require.NoError(t, d.start())
	third := helperPid(t, dir+"/pid", second)
	assert.NoFileExists(t, dir+"/end")
	require.Zero(t, d.signal(syscall.SIGTERM).ExitCode())
	assert.False(t, running(third))
	assert.FileExists(t, dir+"/end", "it was asked to end")
}

func TestAHelperThatDoesNotWorkFailsTheStart(t *testing.T) {
	for about, want := range map[string]string{
		`command: [/bin/sh, -c, "echo no such config; exit 3"]`:                                  `ended before it was ready: exit status 3; it said \"no such config\"`,
		`command: [/bin/sleep, "1000"]` + "\n        ready: {file: /nosuch/file, within: 200ms}": `was not ready within 200ms: stat /nosuch/file`,
	} {
		d := configured(t, embedded, "plugins:\n  sidecars:\n    helpers:\n      - name: broken\n        "+about+"\n")
		err := d.start()
		require.Error(t, err, about)
		text := strings.ReplaceAll(err.Error(), `\\`, `\`)
		assert.Contains(t, strings.ReplaceAll(text, `\"`, `"`), strings.ReplaceAll(`plugin "sidecars": PreStartHook: helper "broken" `+want, `\"`, `"`))
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		_, err = d.client.Ping(ctx, client.PingOptions{})
		cancel()
		assert.Error(t, err)
		assert.NoDirExists(t, filepath.Join(d.root, "d", "containerd"), "nothing of the engine was begun")
	}
}
