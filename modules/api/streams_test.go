package api

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/api/pkg/stdcopy"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pouchfx/pouchfx/modules/containers"
)

// echo is a container that tells on stderr that it runs, sends its input back
// and ends when the input ends.
func echo(_ context.Context, s containers.Streams, attached func()) error {
	attached()
	if _, err := io.WriteString(s.Stderr, "ready\n"); err != nil {
		return err
	}
	if s.Stdin == nil {
		return nil
	}
	input, err := io.ReadAll(s.Stdin)
	if err != nil {
		return err
	}
	_, err = s.Stdout.Write(append([]byte("got "), input...))
	return err
}

func TestAttachHijacksInBothForms(t *testing.T) {
	d := startDaemon(t)
	d.containers.attach = echo
	for name, tc := range map[string]struct {
		path, head string
		headers    []string
		tty        bool
	}{
		"upgrade": {
			path: "/v1.44", headers: []string{"Connection: Upgrade", "Upgrade: tcp"},
			head: "HTTP/1.1 101 UPGRADED\r\nContent-Type: application/vnd.docker.multiplexed-stream\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n",
		},
		"upgrade with a terminal": {
			path: "/v1.44", headers: []string{"Connection: Upgrade", "Upgrade: tcp"}, tty: true,
			head: "HTTP/1.1 101 UPGRADED\r\nContent-Type: application/vnd.docker.raw-stream\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n",
		},
		"upgrade before 1.42": {
			path: "/v1.41", headers: []string{"Connection: Upgrade", "Upgrade: tcp"},
			head: "HTTP/1.1 101 UPGRADED\r\nContent-Type: application/vnd.docker.raw-stream\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n",
		},
		"none": {head: "HTTP/1.1 200 OK\r\nContent-Type: application/vnd.docker.raw-stream\r\n"},
	} {
		t.Run(name, func(t *testing.T) {
			d.containers.tty = tc.tty
			conn := d.dial()
			// The input comes with the request and is followed by a half-close.
			conn.request("POST", tc.path+"/containers/web/attach?stream=1&stdin=1&stdout=1&stderr=1", "", tc.headers...)
			_, err := conn.Write([]byte("hello"))
			require.NoError(t, err)
			require.NoError(t, conn.CloseWrite())
			head := conn.head()
			assert.True(t, strings.HasPrefix(head, tc.head), head)
			assert.Contains(t, head, "Api-Version: 1.44\r\n")
			assert.NotContains(t, head, "Content-Length")
			assert.NotContains(t, head, "chunked")
			if tc.tty {
				all, err := io.ReadAll(conn.in)
				require.NoError(t, err)
				assert.Equal(t, "ready\ngot hello", string(all))
				return
			}
			var stdout, stderr bytes.Buffer
			_, err = stdcopy.StdCopy(&stdout, &stderr, conn.in)
			require.NoError(t, err)
			assert.Equal(t, "got hello", stdout.String())
			assert.Equal(t, "ready\n", stderr.String())
		})
	}
}

func TestBodyOfAnAttachIsNoInput(t *testing.T) {
	d := startDaemon(t)
	d.containers.attach = echo
	conn := d.dial()
	conn.request("POST", "/containers/web/attach?stream=1&stdin=1&stdout=1&stderr=1", `{"stream":true}`, "Connection: Upgrade", "Upgrade: tcp")
	_, err := conn.Write([]byte("hello"))
	require.NoError(t, err)
	require.NoError(t, conn.CloseWrite())
	conn.head()
	var stdout bytes.Buffer
	_, err = stdcopy.StdCopy(&stdout, io.Discard, conn.in)
	require.NoError(t, err)
	assert.Equal(t, "got hello", stdout.String())
}

func TestAttachWithDockersClient(t *testing.T) {
	d := startDaemon(t)
	d.containers.attach = echo
	c := d.client()
	a, err := c.ContainerAttach(t.Context(), "web", client.ContainerAttachOptions{Stream: true, Stdin: true, Stdout: true, Stderr: true})
	require.NoError(t, err)
	defer a.Close()
	kind, _ := a.MediaType()
	assert.Equal(t, "application/vnd.docker.multiplexed-stream", kind)
	_, err = a.Conn.Write([]byte("there"))
	require.NoError(t, err)
	require.NoError(t, a.CloseWrite())
	var stdout, stderr bytes.Buffer
	_, err = stdcopy.StdCopy(&stdout, &stderr, a.Reader)
	require.NoError(t, err)
	assert.Equal(t, "got there", stdout.String())

	_, err = c.ContainerAttach(t.Context(), "nosuch", client.ContainerAttachOptions{Stream: true, Stdout: true})
	assert.ErrorContains(t, err, "404")
}

func TestAttachErrorsBeforeTheUpgradeHaveTheirStatus(t *testing.T) {
	d := startDaemon(t)
	d.containers.attach = func(context.Context, containers.Streams, func()) error {
		return errdefs.ErrConflict.WithMessage("Container web is paused")
	}
	res, body := d.dial().do("POST", "/containers/web/attach?stream=1", "", "Connection: Upgrade", "Upgrade: tcp")
	assert.Equal(t, 409, res.StatusCode)
	assert.Equal(t, "Container web is paused\r\n", body)
	res, body = d.dial().do("POST", "/containers/nosuch/attach?stream=1", "", "Connection: Upgrade", "Upgrade: tcp")
	assert.Equal(t, 404, res.StatusCode)
	assert.Equal(t, "No such container: nosuch\r\n", body)
}

func TestOutputIsWholeThoughTheClientSentMoreThanWasRead(t *testing.T) {
	d := startDaemon(t)
	payload := bytes.Repeat([]byte("x"), 1<<20)
	d.containers.attach = func(_ context.Context, s containers.Streams, attached func()) error {
		attached()
		_, err := s.Stdout.Write(payload) // and never reads
		return err
	}
	conn := d.dial()
	conn.request("POST", "/containers/web/attach?stream=1&stdin=1&stdout=1", "", "Connection: Upgrade", "Upgrade: tcp")
	_, err := conn.Write(bytes.Repeat([]byte("y"), 10000))
	require.NoError(t, err)
	conn.head()
	var stdout bytes.Buffer
	_, err = stdcopy.StdCopy(&stdout, io.Discard, conn.in)
	require.NoError(t, err, "an orderly end, not a reset")
	assert.Equal(t, payload, stdout.Bytes())
}

func TestAClientThatGoesEndsTheOutput(t *testing.T) {
	d := startDaemon(t)
	ended := make(chan error, 1)
	d.containers.attach = func(_ context.Context, s containers.Streams, attached func()) error {
		attached()
		for {
			if _, err := s.Stdout.Write([]byte("tick\n")); err != nil {
				ended <- err
				return err
			}
		}
	}
	conn := d.dial()
	conn.request("POST", "/containers/web/attach?stream=1&stdout=1", "", "Connection: Upgrade", "Upgrade: tcp")
	conn.head()
	require.NoError(t, conn.Close())
	assert.Error(t, <-ended)
}

func TestWaitSendsItsHeadersAtOnce(t *testing.T) {
	d := startDaemon(t)
	registered, exit := false, make(chan container.WaitResponse, 1)
	d.containers.waits = func(context.Context) (<-chan container.WaitResponse, error) {
		registered = true
		return exit, nil
	}
	conn := d.dial()
	conn.request("POST", "/v1.44/containers/web/wait?condition=next-exit", "")
	assert.Contains(t, conn.head(), "HTTP/1.1 200 OK\r\n")
	assert.True(t, registered, "before the headers")
	exit <- container.WaitResponse{StatusCode: 3}
	line, err := conn.in.ReadString('}')
	require.NoError(t, err)
	assert.Contains(t, line, `{"StatusCode":3}`)

	res, body := d.dial().do("POST", "/containers/web/wait?condition=never", "")
	assert.Equal(t, 400, res.StatusCode)
	assert.Contains(t, body, "never")

	exit <- container.WaitResponse{StatusCode: 4}
	result := d.client().ContainerWait(t.Context(), "web", client.ContainerWaitOptions{Condition: container.WaitConditionRemoved})
	select {
	case r := <-result.Result:
		assert.EqualValues(t, 4, r.StatusCode)
	case err := <-result.Error:
		require.NoError(t, err)
	}
}

func TestWaitEndsWhenTheClientGoes(t *testing.T) {
	d := startDaemon(t)
	ended := make(chan struct{})
	d.containers.waits = func(ctx context.Context) (<-chan container.WaitResponse, error) {
		exit := make(chan container.WaitResponse)
		context.AfterFunc(ctx, func() { close(exit); close(ended) })
		return exit, nil
	}
	conn := d.dial()
	conn.request("POST", "/containers/web/wait", "")
	conn.head()
	require.NoError(t, conn.Close())
	select {
	case <-ended:
	case <-time.After(10 * time.Second):
		t.Fatal("the waiter stays")
	}
}

func TestLogs(t *testing.T) {
	d := startDaemon(t)
	var asked containers.LogsOptions
	d.containers.logs = func(_ context.Context, o containers.LogsOptions, out containers.LogSink) error {
		asked = o
		return errors.Join(out.WriteLog(1, time.Now(), []byte("out\n"), nil), out.WriteLog(2, time.Now(), []byte("err\n"), nil))
	}
	logs, err := d.client().ContainerLogs(t.Context(), "web", client.ContainerLogsOptions{ShowStdout: true, ShowStderr: true, Tail: "5", Since: "10", Timestamps: true})
	require.NoError(t, err)
	var stdout, stderr bytes.Buffer
	_, err = stdcopy.StdCopy(&stdout, &stderr, logs)
	require.NoError(t, err)
	require.NoError(t, logs.Close())
	assert.Equal(t, "out\n", stdout.String())
	assert.Equal(t, "err\n", stderr.String())
	assert.Equal(t, containers.LogsOptions{Stdout: true, Stderr: true, Timestamps: true, Tail: 5, Since: time.Unix(10, 0)}, asked)

	for query, want := range map[string]int{"tail=all": -1, "": -1, "tail=-1": -1, "tail=0": 0, "tail=-7": -1} {
		d.dial().do("GET", "/containers/web/logs?stdout=1&"+query, "")
		assert.Equal(t, want, asked.Tail, query)
	}
	for version, kind := range map[string]string{"/v1.44": "application/vnd.docker.multiplexed-stream", "/v1.41": ""} {
		res, _ := d.dial().do("GET", version+"/containers/web/logs?stdout=1", "")
		assert.Equal(t, kind, res.Header.Get("Content-Type"))
	}
	for path, status := range map[string]int{
		"web/logs": 400, "nosuch/logs?stdout=1": 404, "web/logs?stdout=1&tail=x": 400, "web/logs?stdout=1&since=x": 400,
	} {
		res, _ := d.dial().do("GET", "/containers/"+path, "")
		assert.Equal(t, status, res.StatusCode, path)
	}
}

func TestFollowedLogsComeAtOnceAndEndWithTheClient(t *testing.T) {
	d := startDaemon(t)
	lines, ended := make(chan string), make(chan struct{})
	d.containers.logs = func(ctx context.Context, _ containers.LogsOptions, out containers.LogSink) error {
		defer close(ended)
		for {
			select {
			case line := <-lines:
				if err := out.WriteLog(1, time.Now(), []byte(line), nil); err != nil {
					return err
				}
			case <-ctx.Done():
				return ctx.Err()
			}
		}
	}
	conn := d.dial()
	conn.request("GET", "/containers/web/logs?follow=1&stdout=1", "")
	assert.Contains(t, conn.head(), "200 OK", "before the first line")
	lines <- "first\n"
	text, err := conn.in.ReadString('t')
	require.NoError(t, err)
	assert.Contains(t, text, "first")
	require.NoError(t, conn.Close())
	<-ended
}

func TestLateErrorsOfLogsAreInTheStream(t *testing.T) {
	d := startDaemon(t)
	d.containers.logs = func(_ context.Context, _ containers.LogsOptions, out containers.LogSink) error {
		return errors.Join(out.WriteLog(1, time.Now(), []byte("out\n"), nil), errors.New("disk gone"))
	}
	_, body := d.dial().do("GET", "/containers/web/logs?stdout=1", "")
	assert.Contains(t, body, "Error grabbing logs: ")
	d.containers.logs = func(context.Context, containers.LogsOptions, containers.LogSink) error {
		return errdefs.ErrConflict.WithMessage("no log")
	}
	res, _ := d.dial().do("GET", "/containers/web/logs?stdout=1", "")
	assert.Equal(t, 409, res.StatusCode)
}

func TestExec(t *testing.T) {
	d := startDaemon(t)
	d.containers.exec = echo
	c := d.client()
	made, err := c.ExecCreate(t.Context(), "web", client.ExecCreateOptions{Cmd: []string{"cat"}})
	require.NoError(t, err)
	a, err := c.ExecAttach(t.Context(), made.ID, client.ExecAttachOptions{})
	require.NoError(t, err)
	defer a.Close()
	_, err = a.Conn.Write([]byte("it"))
	require.NoError(t, err)
	require.NoError(t, a.CloseWrite())
	var stdout bytes.Buffer
	_, err = stdcopy.StdCopy(&stdout, io.Discard, a.Reader)
	require.NoError(t, err)
	assert.Equal(t, "got it", stdout.String())
	found, err := c.ExecInspect(t.Context(), made.ID, client.ExecInspectOptions{})
	require.NoError(t, err)
	assert.Equal(t, 4, found.ExitCode)

	_, err = c.ExecCreate(t.Context(), "web", client.ExecCreateOptions{})
	assert.ErrorContains(t, err, "No exec command specified")
	conn := d.dial()
	res, body := conn.do("POST", "/exec/e1/start", `{"Detach":true}`)
	assert.Equal(t, 200, res.StatusCode)
	assert.Empty(t, body)
	res, body = conn.do("POST", "/exec/nosuch/start", `{}`, "Connection: Upgrade", "Upgrade: tcp")
	assert.Equal(t, 404, res.StatusCode)
	assert.Contains(t, body, `{"message":"No such exec instance: nosuch"}`)
}

func TestAnExecThatDoesNotStartTellsWhyAsOutput(t *testing.T) {
	d := startDaemon(t)
	d.containers.exec = func(_ context.Context, s containers.Streams, attached func()) error {
		attached()
		_, err := io.WriteString(s.Stdout, "OCI runtime exec failed: no such file\r\n")
		return errors.Join(err, errors.New("OCI runtime exec failed: no such file"))
	}
	conn := d.dial()
	conn.request("POST", "/exec/e1/start", `{}`, "Connection: Upgrade", "Upgrade: tcp")
	assert.Contains(t, conn.head(), "101 UPGRADED")
	var stdout bytes.Buffer
	_, err := stdcopy.StdCopy(&stdout, io.Discard, conn.in)
	require.NoError(t, err)
	assert.Equal(t, "OCI runtime exec failed: no such file\r\n", stdout.String(), "once")

	d.containers.exec = func(context.Context, containers.Streams, func()) error {
		return errdefs.ErrConflict.WithMessage("container web is not running")
	}
	res, _ := d.dial().do("POST", "/exec/e1/start", `{}`, "Connection: Upgrade", "Upgrade: tcp")
	assert.Equal(t, 409, res.StatusCode)
}

// countingWriter keeps each write apart.
type countingWriter struct{ writes [][]byte }

func (w *countingWriter) Write(p []byte) (int, error) {
	w.writes = append(w.writes, bytes.Clone(p))
	return len(p), nil
}

func TestAFrameIsOneWrite(t *testing.T) {
	var w countingWriter
	stdout, stderr := split(&w, false)
	big := bytes.Repeat([]byte("b"), 2*maxFrame+1)
	for _, write := range []struct {
		to io.Writer
		p  []byte
	}{{stdout, []byte("one")}, {stderr, []byte("two")}, {stdout, big}, {stdout, nil}} {
		n, err := write.to.Write(write.p)
		require.NoError(t, err)
		assert.Equal(t, len(write.p), n)
	}
	require.Len(t, w.writes, 5)
	for _, frame := range w.writes {
		assert.EqualValues(t, len(frame)-8, binary.BigEndian.Uint32(frame[4:8]))
	}
	assert.Equal(t, "\x02\x00\x00\x00\x00\x00\x00\x03two", string(w.writes[1]))
}
