package e2e

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/creack/pty"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestDockerRunTellsWhatIsWrong has the words and exit statuses that a user of
// the docker command sees.
func TestDockerRunTellsWhatIsWrong(t *testing.T) {
	d := sharedDaemon(t, embedded)
	c := dockerCLI(t, d)
	file := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(file, []byte("text"), 0o644))
	for _, tc := range []struct {
		args string
		code int64
		want string
	}{
		{"box nosuch", 127, `exec: "nosuch": executable file not found in $PATH`},
		{"box /bin", 126, "is a directory"},
		{"-v " + file + ":/text box /text", 126, "permission denied"},
		{"-u nosuch box true", 125, "daemon: unable to find user nosuch: no matching entries in passwd file"},
		{"--cpuset-cpus 999 box true", 125, "Requested CPUs are not available - requested 999, available: "},
		{"--cpus 9999 box true", 125, "range of CPUs is from 0.01 to "},
		{"--memory 1m box true", 125, "Minimum memory limit allowed is 6MB"},
		{"--memory 32m --memory-swap 16m box true", 125, "Minimum memoryswap limit should be larger than memory limit"},
		{"--cap-add FOO box true", 125, `unknown capability: "`},
		{"--device /dev/nosuch box true", 127, `error gathering device information while adding custom device "/dev/nosuch"`},
		{"--stop-signal FOO box true", 125, "Invalid signal: FOO"},
		{"--name a box true", 125, "Invalid container name (a), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed"},
		{"-v vol:rel box true", 125, "invalid mount path: 'rel' mount path must be absolute"},
		{"-v vol:/x:perhaps box true", 125, "invalid mode: perhaps"},
		{"--mount type=bind,source=/no/such,target=/x box true", 125, `invalid mount config for type "bind": bind source path does not exist: /no/such`},
		{"--network nosuch box true", 125, "network nosuch not found"},
		{"--network none --ip 10.0.0.9 box true", 125, "user specified IP address is supported on user defined networks only"},
		{"--log-opt max-size=x box true", 125, "invalid value for max-size"},
		{"--health-cmd true --health-interval 1us box true", 125, "Interval in Healthcheck cannot be less than 1ms"},
		{"--link x box true", 125, "Links is not supported by this daemon"},
	} {
		r := c.do(append([]string{"run", "--rm"}, strings.Fields(tc.args)...)...)
		if tc.want != "is a directory" { // which older docker commands do not know
			assert.Equal(t, tc.code, r.code, "%s: %s", tc.args, r.stderr)
		}
		assert.Contains(t, r.stderr, tc.want, tc.args)
		assert.NotContains(t, r.stderr, "Unable to find image", tc.args)
	}
}

func TestDockerTellsWhatIsWrongWithAContainer(t *testing.T) {
	d := sharedDaemon(t, embedded)
	c := dockerCLI(t, d)
	id := c.ok("create", "--name", "words", "--restart", "always", "--network", "none", "box", "sh", "-c", "exit 3")
	defer c.do("rm", "-f", id)
	tells := func(want string, args ...string) {
		t.Helper()
		r := c.do(args...)
		assert.NotZero(t, r.code, "%s", args)
		assert.Contains(t, r.stderr, want, "%s", args)
	}
	tells("Error response from daemon: cannot kill container: words: container "+id+" is not running\n", "kill", "words")
	tells("container "+id+" is not running", "exec", "words", "true")
	tells("Requested CPUs are not available", "update", "--cpuset-cpus", "999", "words")
	tells("invalid restart policy: maximum retry count can only be used with 'on-failure'", "update", "--restart", "always:3", "words")
	tells("Error response from daemon: No such container: nosuch", "stop", "nosuch")
	c.ok("start", "words")
	require.NoError(t, waitFor(time.Minute, func() bool {
		return strings.HasPrefix(c.ok("inspect", "-f", "{{.State.Status}} {{.RestartCount}}", "words"), "restarting 4")
	}))
	tells(`cannot remove container "/words": container is restarting: stop the container before removing or force remove`, "rm", "words")
	c.ok("rm", "-f", "words")
}

// dialogue runs a command on a terminal: when it has written the first text of
// a step, the second is typed.
func (c cli) dialogue(steps [][2]string, args ...string) (out string, code int) {
	c.t.Helper()
	cmd, cancel := c.command(args...)
	defer cancel()
	terminal, err := pty.Start(cmd)
	require.NoError(c.t, err)
	defer terminal.Close()
	buf := make([]byte, 4096)
	for err == nil { // EIO is the terminal's end
		for len(steps) > 0 && strings.Contains(out, steps[0][0]) {
			_, err := terminal.WriteString(steps[0][1])
			require.NoError(c.t, err)
			steps = steps[1:]
		}
		var n int
		n, err = terminal.Read(buf)
		out += string(buf[:n])
	}
	_ = cmd.Wait()
	return out, cmd.ProcessState.ExitCode()
}

// A terminal is not at its end because the one who looked at it has gone.
func TestDockerDetachesFromARun(t *testing.T) {
	onBoth(t, func(t *testing.T, d *daemon) {
		c := dockerCLI(t, d)
		name := "detached-" + string(d.kind())
		defer c.do("rm", "-f", name)
		const detach = "\x10\x11"
		_, code := c.dialogue([][2]string{{"ready", detach}}, "run", "-it", "--name", name, "--network", "none", "box", "sh", "-c", "echo ready; sh; exit $?")
		assert.Zero(t, code)
		out, _ := c.dialogue([][2]string{{"", "echo still $((40+2))\n"}, {"still 42", detach}}, "attach", name)
		assert.Contains(t, out, "read escape sequence")
		_, _ = c.dialogue([][2]string{{"ready", detach}}, "exec", "-it", name, "sh", "-c", "echo ready; sleep 1000")
		assert.Contains(t, c.ok("exec", name, "ps"), "echo ready; sleep 1000")
		assert.Equal(t, "running", c.ok("inspect", "-f", "{{.State.Status}}", name))
		r := c.do("exec", "-u", "nosuch", name, "true")
		assert.EqualValues(t, 126, r.code, "%s%s", r.stdout, r.stderr)
		out, code = c.dialogue([][2]string{{"", "exit 3\n"}}, "attach", name)
		assert.Equal(t, 3, code, out)
	})
}

func TestDockerSystemDFCountsUsers(t *testing.T) {
	d := ownDaemon(t, built.daemon, embedded)
	d.load(t, "box:latest")
	c := dockerCLI(t, d)
	format := "{{.Type}} {{.TotalCount}} {{.Active}}"
	assert.Contains(t, c.ok("system", "df", "--format", format), "Images 1 0\nContainers 0 0\nLocal Volumes 0 0")
	c.ok("run", "--network", "none", "-v", "data:/data", "box", "sh", "-c", "echo 123456 > /data/file")
	assert.Contains(t, c.ok("system", "df", "--format", format), "Images 1 1\nContainers 1 0\nLocal Volumes 1 1")
	assert.Contains(t, c.ok("system", "df", "-v"), "data          1         7B")
}
