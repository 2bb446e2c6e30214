package containers

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/api/types/container"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pouchfx/pouchfx/types"
)

func interactive(c *types.ContainerCreateConfig) {
	c.OpenStdin, c.StdinOnce, c.AttachStdin = true, true, true
}

// attach attaches and returns what is written and, once it ended, the error.
func (f *fixture) attach(t testing.TB, id string, stdin io.Reader, o AttachOptions) (*buffer, <-chan error) {
	t.Helper()
	out := new(buffer)
	connected, ended := make(chan struct{}), make(chan error, 1)
	go func() {
		ended <- f.Attach(t.Context(), id, o, Streams{Stdin: stdin, Stdout: out, Stderr: out}, func() { close(connected) })
	}()
	<-connected
	return out, ended
}

func ends(t testing.TB, ended <-chan error) {
	t.Helper()
	select {
	case err := <-ended:
		require.NoError(t, err)
	case <-time.After(30 * time.Second):
		t.Fatal("it did not end")
	}
}

func TestStreams(t *testing.T) {
	f := newFixture(t, nil)
	ctx := t.Context()

	t.Run("attached before the start, a client gets all output, and its end ends the input", func(t *testing.T) {
		id := f.create(t, "", interactive, "cat")
		out, ended := f.attach(t, id, strings.NewReader("hello\n"), AttachOptions{Stream: true})
		assert.Zero(t, f.startAndWait(t, id))
		ends(t, ended)
		assert.Equal(t, "hello\n", out.String())
		require.NoError(t, f.Remove(ctx, id, RemoveOptions{}))
	})
	t.Run("much output arrives whole, in the log and at clients", func(t *testing.T) {
		id := f.create(t, "", nil, "sh", "-c", "i=0; while [ $i -lt 20000 ]; do echo line $i of many; i=$((i+1)); done")
		out, ended := f.attach(t, id, nil, AttachOptions{Stream: true})
		assert.Zero(t, f.startAndWait(t, id))
		ends(t, ended)
		var want strings.Builder
		for i := range 20000 {
			fmt.Fprintf(&want, "line %d of many\n", i)
		}
		assert.True(t, want.String() == out.String(), "the client's output differs")
		assert.True(t, want.String() == f.logs(t, id, LogsOptions{Tail: -1}).text(1), "the log differs")
		assert.Equal(t, "line 19998 of many\nline 19999 of many\n", f.logs(t, id, LogsOptions{Tail: 2}).text(1))
		require.NoError(t, f.Remove(ctx, id, RemoveOptions{}))
	})
	t.Run("a terminal: size, detach keys, attach again", func(t *testing.T) {
		id := f.create(t, "", func(c *types.ContainerCreateConfig) {
			interactive(c)
			c.Tty, c.HostConfig.ConsoleSize = true, [2]uint{30, 90}
		}, "sh", "-c", "stty size; while read line; do echo got $line; stty size; done")
		in, typing := io.Pipe()
		out, ended := f.attach(t, id, in, AttachOptions{Stream: true})
		require.NoError(t, f.Service.Start(ctx, id))
		eventually(t, "the size", func() bool { return strings.Contains(out.String(), "30 90") })
		require.NoError(t, f.Resize(ctx, id, 40, 100))
		_, err := typing.Write([]byte("word\n"))
		require.NoError(t, err)
		eventually(t, "the new size", func() bool { return strings.Contains(out.String(), "got word\r\n40 100") })
		_, err = typing.Write([]byte{16, 17}) // ctrl-p ctrl-q
		require.NoError(t, err)
		ends(t, ended)
		assert.True(t, f.inspect(t, id).State.Running)
		err = f.Attach(ctx, id, AttachOptions{Stream: true}, Streams{DetachKeys: "wrong"}, func() {})
		require.ErrorIs(t, err, errdefs.ErrInvalidArgument)

		// A client that is gone has not typed ctrl-d: the next one types on.
		out, ended = f.attach(t, id, strings.NewReader("again\n"), AttachOptions{Stream: true})
		eventually(t, "the answer", func() bool { return strings.Contains(out.String(), "got again") })
		in, typing = io.Pipe()
		next, nextEnded := f.attach(t, id, in, AttachOptions{Stream: true})
		_, err = typing.Write([]byte("more\n"))
		require.NoError(t, err)
		eventually(t, "the next answer", func() bool { return strings.Contains(next.String(), "got more") })
		_, err = typing.Write([]byte{16, 17})
		require.NoError(t, err)
		ends(t, nextEnded)

		replayed, replayEnded := f.attach(t, id, nil, AttachOptions{Stream: true, Logs: true})
		eventually(t, "the replay", func() bool { return strings.Contains(replayed.String(), "got word") })
		require.NoError(t, f.Kill(ctx, id, "KILL"))
		ends(t, ended)
		ends(t, replayEnded)
		require.NoError(t, f.Remove(ctx, id, RemoveOptions{}))
	})
	t.Run("exec", func(t *testing.T) {
		id := f.create(t, "", nil, "sleep", "300")
		_, err := f.ExecCreate(ctx, id, container.ExecCreateRequest{Cmd: []string{"true"}})
		require.ErrorIs(t, err, errdefs.ErrConflict)
		require.NoError(t, f.Service.Start(ctx, id))
		code, out := f.exec(t, id, "sh", "-c", "echo o; echo e >&2; exit 4")
		assert.Equal(t, 4, code)
		// The streams come through two pipes and end up in one string.
		assert.Equal(t, 1, strings.Count(out, "o"), out)
		assert.Equal(t, 1, strings.Count(out, "e"), out)
		assert.Equal(t, 2, strings.Count(out, "\n"), out)
		code, out = f.exec(t, id, "nosuch")
		assert.Equal(t, 127, code)
		assert.Contains(t, out, "OCI runtime exec failed")
		assert.True(t, strings.HasSuffix(out, "\r\n"))
		e, err := f.ExecCreate(ctx, id, container.ExecCreateRequest{Cmd: []string{"true"}, User: "nosuch", AttachStdout: true})
		require.NoError(t, err)
		require.Error(t, f.ExecStart(ctx, e, ExecStartOptions{}, Streams{Stdout: io.Discard}, func() {}))
		ran, err := f.ExecInspect(ctx, e)
		require.NoError(t, err)
		assert.Equal(t, 126, *ran.ExitCode)

		e, err = f.ExecCreate(ctx, id, container.ExecCreateRequest{Cmd: []string{"sh", "-c", "cat; echo $A; pwd; id"}, User: "app", Env: []string{"A=b"}, WorkingDir: "/tmp", AttachStdin: true, AttachStdout: true})
		require.NoError(t, err)
		var got buffer
		require.NoError(t, f.ExecStart(ctx, e, ExecStartOptions{}, Streams{Stdin: strings.NewReader("in\n"), Stdout: &got}, func() {}))
		assert.Contains(t, got.String(), "in\nb\n/tmp\nuid=1000")
		require.NoError(t, f.Remove(ctx, id, RemoveOptions{Force: true}))
		_, err = f.ExecInspect(ctx, e)
		require.ErrorIs(t, err, errdefs.ErrNotFound)
	})
	t.Run("logs follow until the end", func(t *testing.T) {
		id := f.create(t, "", nil, "sh", "-c", "echo one; sleep 0.3; echo two")
		require.NoError(t, f.Service.Start(ctx, id))
		out := f.logs(t, id, LogsOptions{Tail: -1, Follow: true, Timestamps: true})
		lines := strings.Split(out.text(1), "\n")
		require.Len(t, lines, 3)
		stamp, text, _ := strings.Cut(lines[1], " ")
		_, err := time.Parse(time.RFC3339Nano, stamp)
		require.NoError(t, err)
		assert.Equal(t, "two", text)
		eventually(t, "the end", func() bool { return !f.inspect(t, id).State.Running })
		require.NoError(t, f.Remove(ctx, id, RemoveOptions{}))
	})
	t.Run("nothing is left", func(t *testing.T) { f.empty(t) })
}

func TestContainersSurviveTheDaemon(t *testing.T) {
	f := newFixture(t, nil)
	ctx := t.Context()
	dir := t.TempDir()
	running := f.create(t, "runs", func(c *types.ContainerCreateConfig) { c.HostConfig.Binds = []string{dir + ":/d"} },
		"sh", "-c", "i=0; while [ ! -e /d/stop ]; do echo tick $i; i=$((i+1)); sleep 0.02; done; exit 5")
	paused := f.create(t, "paused", nil, "sleep", "300")
	created := f.create(t, "created", nil, "true")
	ended := f.create(t, "ended", nil, "sh", "-c", "exit 7")
	require.NoError(t, f.Service.Start(ctx, running))
	require.NoError(t, f.Service.Start(ctx, paused))
	require.NoError(t, f.Pause(ctx, paused))
	assert.Equal(t, 7, f.startAndWait(t, ended))
	started := f.inspect(t, running).State.StartedAt

	for range 3 {
		f.reopen(t)
	}
	state := f.inspect(t, running).State
	assert.True(t, state.Running)
	assert.Equal(t, started, state.StartedAt)
	assert.Equal(t, statusPaused, f.inspect(t, paused).State.Status)
	assert.Equal(t, statusCreated, f.inspect(t, created).State.Status)
	assert.Equal(t, 7, f.inspect(t, ended).State.ExitCode)
	wait, err := f.Wait(ctx, running, container.WaitConditionNotRunning)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "stop"), nil, 0o644))
	assert.Equal(t, 5, receive(t, wait))
	got := f.logs(t, running, LogsOptions{Tail: -1}).text(1)
	var want strings.Builder
	for i := range strings.Count(got, "\n") {
		fmt.Fprintf(&want, "tick %d\n", i)
	}
	assert.Equal(t, want.String(), got, "the log has no gap")
	for _, id := range []string{running, paused, created, ended} {
		require.NoError(t, f.Remove(context.Background(), id, RemoveOptions{Force: true}))
	}
	f.empty(t)
}
