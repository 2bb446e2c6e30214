package e2e

import (
	"bytes"
	"context"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/creack/pty"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// cli is the docker command, or another, pointed at a daemon.
type cli struct {
	t       *testing.T
	d       *daemon
	program string
	dir     string
	env     []string
}

func dockerCLI(t *testing.T, d *daemon) cli {
	t.Helper()
	if _, err := exec.LookPath("docker"); err != nil {
		t.Skip("the docker command is not installed (Debian: docker-cli)")
	}
	return cli{t: t, d: d, program: "docker", env: d.environment(t)}
}

func (c cli) command(args ...string) (*exec.Cmd, context.CancelFunc) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	cmd := exec.CommandContext(ctx, c.program, args...)
	cmd.Dir, cmd.Env = c.dir, c.env
	return cmd, cancel
}

// do runs a command and returns its output and status.
func (c cli) do(args ...string) result { return c.doWith("", args...) }

func (c cli) doWith(stdin string, args ...string) result {
	c.t.Helper()
	cmd, cancel := c.command(args...)
	defer cancel()
	var out, errs bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(stdin), &out, &errs
	err := cmd.Run()
	if cmd.ProcessState == nil {
		require.NoError(c.t, err)
	}
	return result{out.String(), errs.String(), int64(cmd.ProcessState.ExitCode())}
}

// ok runs a command that must succeed and returns its output.
func (c cli) ok(args ...string) string {
	c.t.Helper()
	r := c.do(args...)
	require.Zero(c.t, r.code, "%s %s: %s%s", filepath.Base(c.program), strings.Join(args, " "), r.stdout, r.stderr)
	return strings.TrimSpace(r.stdout)
}

// on a terminal
func (c cli) tty(input string, args ...string) (string, int) {
	c.t.Helper()
	cmd, cancel := c.command(args...)
	defer cancel()
	terminal, err := pty.StartWithSize(cmd, &pty.Winsize{Rows: 30, Cols: 90})
	require.NoError(c.t, err)
	defer terminal.Close()
	if input != "" {
		io.WriteString(terminal, input)
	}
	out, _ := io.ReadAll(terminal) // EIO is the terminal's end
	cmd.Wait()
	return string(out), cmd.ProcessState.ExitCode()
}

func TestDockerCommand(t *testing.T) {
	onBoth(t, func(t *testing.T, d *daemon) {
		c := dockerCLI(t, d)
		assert.Contains(t, c.ok("version"), "Server")
		assert.Contains(t, c.ok("info"), "Storage Driver")

		img, err := boxImage()
		require.NoError(t, err)
		ref := push(t, loopbackRegistry(t), "cli/box:1", img)
		assert.Contains(t, c.ok("pull", ref), "Downloaded newer image")
		c.ok("tag", ref, "cli-box:2")
		assert.Contains(t, c.ok("images"), "cli-box")
		assert.Equal(t, "cli-box:2", c.ok("images", "--filter", "reference=cli-*", "--format", "{{.Repository}}:{{.Tag}}"))
		assert.Equal(t, "yes", c.ok("image", "inspect", "-f", `{{index .Config.Env 1}}`, "cli-box:2")[len("FROM_IMAGE="):])
		assert.Contains(t, c.ok("rmi", "cli-box:2"), "Untagged: cli-box:2")
		archived := filepath.Join(t.TempDir(), "box.tar")
		f, err := os.Create(archived)
		require.NoError(t, err)
		_, err = io.Copy(f, archive(t, "loaded:1", img))
		require.NoError(t, err)
		f.Close()
		assert.Contains(t, c.ok("load", "-i", archived), "Loaded image: loaded:1")

		assert.Equal(t, result{"out\n", "err\n", 3}, c.do("run", "--rm", "--network", "none", "box", "sh", "-c", "echo out; echo err >&2; exit 3"))
		assert.Equal(t, result{"hello\n", "", 0}, c.doWith("hello\n", "run", "--rm", "-i", "--network", "none", "box", "cat"))
		out, code := c.tty("", "run", "--rm", "-it", "--network", "none", "box", "sh", "-c", "sleep 0.3; stty size; exit 5")
		assert.Contains(t, out, "30 90")
		assert.Equal(t, 5, code)
		out, code = c.tty("echo $((40+2))\nexit 4\n", "run", "--rm", "-it", "--network", "none", "box", "sh")
		assert.Contains(t, out, "42")
		assert.Equal(t, 4, code)
		r := c.do("run", "--rm", "--network", "none", "box", "nosuchcmd")
		assert.EqualValues(t, 127, r.code, r.stderr)
		assert.Contains(t, r.stderr, "executable file not found")
		r = c.do("run", "--rm", "127.0.0.1:1/nosuch", "true")
		assert.EqualValues(t, 125, r.code, r.stderr)

		name := "cli-" + string(d.kind())
		env := filepath.Join(t.TempDir(), "env")
		require.NoError(t, os.WriteFile(env, []byte("B=c\n"), 0o600))
		id := c.ok("run", "-d", "--name", name, "--network", "none", "-v", name+"-vol:/data", "-e", "A=b", "--env-file", env, "-w", "/tmp",
			"-u", "app", "--hostname", "clibox", "--label", "x=y", "--memory", "64m", "--cpus", "0.5", "--pids-limit", "100", "--cap-drop", "ALL", "--read-only",
			"--tmpfs", "/tmp", "--mount", "type=tmpfs,target=/t2", "--entrypoint", "sh", "box", "-c", "i=0; while :; do echo line $i; i=$((i+1)); sleep 0.1; done")
		assert.Len(t, id, 64)
		assert.Equal(t, "b c /tmp clibox", c.ok("exec", name, "sh", "-c", "echo $A $B $PWD $(hostname)"))
		assert.Equal(t, int64(4), c.do("exec", name, "sh", "-c", "exit 4").code)
		assert.Equal(t, result{"in\n", "", 0}, c.doWith("in\n", "exec", "-i", name, "cat"))
		out, code = c.tty("", "exec", "-it", name, "sh", "-c", "sleep 0.3; stty size; exit 6")
		assert.Contains(t, out, "30 90")
		assert.Equal(t, 6, code)
		assert.Equal(t, name, c.ok("ps", "--filter", "name="+name, "--format", "{{.Names}}"))
		assert.Equal(t, id[:12], c.ok("ps", "-a", "-q", "--filter", "label=x=y", "--filter", "status=running", "--filter", "name="+name))
		assert.Contains(t, c.ok("logs", "--tail", "1", "-t", name), "line ")
		assert.Contains(t, c.ok("logs", "--since", "1m", name), "line 0")
		assert.Contains(t, c.ok("top", name), "while")
		assert.Equal(t, "67108864", c.ok("inspect", "-f", "{{.HostConfig.Memory}}", name))
		assert.Equal(t, name, c.ok("update", "--memory", "96m", "--memory-swap", "192m", "--cpus", "0.25", "--restart", "on-failure:3", name))
		assert.Equal(t, "100663296 on-failure", c.ok("inspect", "-f", "{{.HostConfig.Memory}} {{.HostConfig.RestartPolicy.Name}}", name))
		c.ok("pause", name)
		assert.Contains(t, c.ok("ps", "--filter", "name="+name), "(Paused)")
		c.ok("unpause", name)
		c.ok("restart", "-t", "0", name)
		c.ok("rename", name, name+"x")
		assert.Contains(t, c.do("rm", name+"x").stderr, "container is running")
		require.NoError(t, waitFor(time.Minute, func() bool { // a PID 1 without its handler ignores SIGTERM
			return strings.Count(c.ok("logs", name+"x"), "line 0\n") == 2
		}))
		c.ok("stop", "-t", "5", name+"x")
		assert.Contains(t, c.ok("ps", "-a", "--filter", "name="+name), "Exited (143)")
		assert.Contains(t, c.do("volume", "rm", name+"-vol").stderr, "volume is in use")
		c.ok("kill", c.ok("start", name+"x"))
		assert.Equal(t, "137", c.ok("wait", name+"x"))
		c.ok("rm", "-f", "-v", name+"x")
		assert.Contains(t, c.do("inspect", name+"x").stderr, "No such object: "+name+"x")
		c.ok("volume", "rm", name+"-vol")

		created := c.ok("create", "-i", "--network", "none", "box", "cat")
		assert.Equal(t, result{"typed\n", "", 0}, c.doWith("typed\n", "start", "-a", "-i", created))
		c.ok("rm", created)

		assert.Equal(t, name+"-v2", c.ok("volume", "create", "--label", "a=b", name+"-v2"))
		assert.Contains(t, c.ok("volume", "ls", "--filter", "label=a=b"), name+"-v2")
		assert.Equal(t, "b", c.ok("volume", "inspect", "-f", "{{.Labels.a}}", name+"-v2"))
		c.ok("volume", "rm", name+"-v2")
		c.ok("volume", "prune", "-f")
		assert.Contains(t, c.ok("network", "ls"), "none")
	})
}

func TestDockerAttachAndLogsFollow(t *testing.T) {
	onBoth(t, func(t *testing.T, d *daemon) {
		c := dockerCLI(t, d)
		id := c.ok("run", "-d", "--network", "none", "box", "sh", "-c", "sleep 1; for i in 1 2 3; do echo line $i; sleep 0.2; done")
		defer c.do("rm", "-f", id)
		followed := make(chan result, 1)
		go func() { followed <- c.do("logs", "-f", id) }()
		r := c.do("attach", "--no-stdin", id)
		assert.Equal(t, "line 1\nline 2\nline 3\n", r.stdout)
		assert.Equal(t, "line 1\nline 2\nline 3\n", (<-followed).stdout)
	})
}
