package e2e

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"strings"
	"testing"
	"time"

	cerrdefs "github.com/containerd/errdefs"
	"github.com/moby/moby/api/pkg/stdcopy"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestAttachBeforeStartGetsTheFirstByteAndTheLast(t *testing.T) {
	onBoth(t, func(t *testing.T, d *daemon) {
		id := d.create(t, "echo first; cat; echo last", config(func(c *container.Config) { c.OpenStdin, c.StdinOnce = true, true }))
		attached, err := d.client.ContainerAttach(testContext(t), id, client.ContainerAttachOptions{Stream: true, Stdin: true, Stdout: true, Stderr: true})
		require.NoError(t, err)
		defer attached.Close()
		wait := d.client.ContainerWait(testContext(t), id, client.ContainerWaitOptions{Condition: container.WaitConditionNextExit})
		d.startContainer(t, id)
		_, err = io.WriteString(attached.Conn, "through\n")
		require.NoError(t, err)
		require.NoError(t, attached.CloseWrite())
		var out, errs bytes.Buffer
		_, err = stdcopy.StdCopy(&out, &errs, attached.Reader)
		require.NoError(t, err)
		assert.Equal(t, "first\nthrough\nlast\n", out.String())
		assert.Zero(t, exitCode(t, wait))
	})
}

func TestTerminal(t *testing.T) {
	onBoth(t, func(t *testing.T, d *daemon) {
		id := d.create(t, "tty; sleep 0.5; stty size", config(func(c *container.Config) { c.Tty, c.OpenStdin = true, true }))
		attached, err := d.client.ContainerAttach(testContext(t), id, client.ContainerAttachOptions{Stream: true, Stdin: true, Stdout: true, Stderr: true})
		require.NoError(t, err)
		defer attached.Close()
		d.startContainer(t, id)
		_, err = d.client.ContainerResize(testContext(t), id, client.ContainerResizeOptions{Height: 33, Width: 77})
		require.NoError(t, err)
		out, err := io.ReadAll(attached.Reader)
		require.NoError(t, err)
		assert.Regexp(t, `^/dev/(pts/\d+|console)\r\n33 77\r\n$`, string(out))
	})
}

func TestDetachKeysLeaveTheContainerRunning(t *testing.T) {
	onBoth(t, func(t *testing.T, d *daemon) {
		id := d.create(t, "cat", config(func(c *container.Config) { c.Tty, c.OpenStdin = true, true }))
		attached, err := d.client.ContainerAttach(testContext(t), id, client.ContainerAttachOptions{Stream: true, Stdin: true, Stdout: true})
		require.NoError(t, err)
		defer attached.Close()
		d.startContainer(t, id)
		_, err = attached.Conn.Write([]byte{16, 17}) // ctrl-p ctrl-q
		require.NoError(t, err)
		_, err = io.ReadAll(attached.Reader)
		require.NoError(t, err, "the daemon ends the stream")
		assert.True(t, d.inspect(t, id).State.Running)
	})
}

func TestExec(t *testing.T) {
	onBoth(t, func(t *testing.T, d *daemon) {
		id := d.create(t, "sleep 1000", config(func(c *container.Config) { c.Env = []string{"A=b"} }))
		d.startContainer(t, id)
		assert.Equal(t, result{"o b\n", "e\n", 4}, d.exec(t, id, "echo o $A; echo e >&2; exit 4"))

		ctx := testContext(t)
		created, err := d.client.ExecCreate(ctx, id, client.ExecCreateOptions{
			AttachStdin: true, AttachStdout: true, Cmd: []string{"sh", "-c", "id; echo $X $PWD; cat"}, User: "app", Env: []string{"X=y"}, WorkingDir: "/tmp",
		})
		require.NoError(t, err)
		attached, err := d.client.ExecAttach(ctx, created.ID, client.ExecAttachOptions{})
		require.NoError(t, err)
		defer attached.Close()
		io.WriteString(attached.Conn, "in\n")
		attached.CloseWrite()
		var out bytes.Buffer
		_, err = stdcopy.StdCopy(&out, io.Discard, attached.Reader)
		require.NoError(t, err)
		assert.Equal(t, "uid=1000 gid=1000 groups=[1000 2000]\ny /tmp\nin\n", out.String())

		created, err = d.client.ExecCreate(ctx, id, client.ExecCreateOptions{TTY: true, AttachStdout: true, Cmd: []string{"stty", "size"}, ConsoleSize: client.ConsoleSize{Height: 21, Width: 55}})
		require.NoError(t, err)
		attached, err = d.client.ExecAttach(ctx, created.ID, client.ExecAttachOptions{TTY: true, ConsoleSize: client.ConsoleSize{Height: 21, Width: 55}})
		require.NoError(t, err)
		defer attached.Close()
		text, err := io.ReadAll(attached.Reader)
		require.NoError(t, err)
		assert.Equal(t, "21 55\r\n", string(text))

		created, err = d.client.ExecCreate(ctx, id, client.ExecCreateOptions{AttachStdout: true, AttachStderr: true, Cmd: []string{"nosuchcmd"}})
		require.NoError(t, err)
		attached, err = d.client.ExecAttach(ctx, created.ID, client.ExecAttachOptions{})
		require.NoError(t, err)
		defer attached.Close()
		text, err = io.ReadAll(attached.Reader)
		require.NoError(t, err)
		assert.Contains(t, string(text), "executable file not found")
		info, err := d.client.ExecInspect(ctx, created.ID, client.ExecInspectOptions{})
		require.NoError(t, err)
		assert.Equal(t, 127, info.ExitCode)
	})
}

func TestExecNeedsARunningContainer(t *testing.T) {
	onBoth(t, func(t *testing.T, d *daemon) {
		id := d.create(t, "true")
		_, err := d.client.ExecCreate(testContext(t), id, client.ExecCreateOptions{Cmd: []string{"true"}})
		assert.True(t, cerrdefs.IsConflict(err), "%v", err)
	})
}

func TestLogs(t *testing.T) {
	onBoth(t, func(t *testing.T, d *daemon) {
		id := d.create(t, "for i in 1 2 3 4 5; do echo line $i; done")
		d.startContainer(t, id)
		d.wait(t, id)
		assert.Equal(t, "line 4\nline 5\n", d.logs(t, id, client.ContainerLogsOptions{Tail: "2"}).stdout)
		r := d.logs(t, id, client.ContainerLogsOptions{Timestamps: true})
		stamp, text, found := strings.Cut(lines(r.stdout)[0], " ")
		require.True(t, found)
		_, err := time.Parse(time.RFC3339Nano, stamp)
		assert.NoError(t, err)
		assert.Equal(t, "line 1", text)
		assert.Empty(t, d.logs(t, id, client.ContainerLogsOptions{Since: time.Now().Add(time.Hour).Format(time.RFC3339)}).stdout)
	})
}

func TestLogsFollowUntilTheEnd(t *testing.T) {
	onBoth(t, func(t *testing.T, d *daemon) {
		id := d.create(t, "i=0; while [ $i -lt 20 ]; do echo line $i; i=$((i+1)); sleep 0.05; done")
		d.startContainer(t, id)
		r := d.logs(t, id, client.ContainerLogsOptions{Follow: true})
		got := lines(r.stdout)
		require.Len(t, got, 20)
		assert.Equal(t, "line 19", got[19])
	})
}

func TestLargeOutputIsWhole(t *testing.T) {
	onBoth(t, func(t *testing.T, d *daemon) {
		r := d.run(t, "dd 5000000")
		assert.Len(t, r.stdout, 5000000)
	})
}

func TestEventsTellALife(t *testing.T) {
	onBoth(t, func(t *testing.T, d *daemon) {
		ctx, cancel := context.WithCancel(testContext(t))
		defer cancel()
		id := d.create(t, "exit 2")
		stream := d.client.Events(ctx, client.EventsListOptions{Since: "1", Filters: client.Filters{}.Add("container", id)})
		d.startContainer(t, id)
		d.wait(t, id)
		_, err := d.client.ContainerRemove(ctx, id, client.ContainerRemoveOptions{})
		require.NoError(t, err)
		var actions []string
		for len(actions) == 0 || actions[len(actions)-1] != "destroy" {
			select {
			case m := <-stream.Messages:
				actions = append(actions, string(m.Action))
				if m.Action == "die" {
					assert.Equal(t, "2", m.Actor.Attributes["exitCode"])
				}
			case err := <-stream.Err:
				require.NoError(t, err)
			}
		}
		assert.Equal(t, []string{"create", "start", "die", "destroy"}, actions)
	})
}

// A client that goes away in the middle of a stream must not disturb others.
func TestDisconnectInTheMiddleOfAStream(t *testing.T) {
	onBoth(t, func(t *testing.T, d *daemon) {
		id := d.create(t, "yes")
		d.startContainer(t, id)
		attached, err := d.client.ContainerAttach(testContext(t), id, client.ContainerAttachOptions{Stream: true, Stdout: true})
		require.NoError(t, err)
		_, err = bufio.NewReader(attached.Reader).ReadByte()
		require.NoError(t, err)
		attached.Close()
		zero := 0
		_, err = d.client.ContainerStop(testContext(t), id, client.ContainerStopOptions{Timeout: &zero})
		require.NoError(t, err)
	})
}
