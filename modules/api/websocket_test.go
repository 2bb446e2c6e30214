package api

import (
	"context"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pouchfx/pouchfx/modules/containers"
)

func (d *daemon) websocket(path string, header http.Header) (*websocket.Conn, *http.Response, error) {
	ctx, cancel := context.WithTimeout(d.t.Context(), 20*time.Second)
	defer cancel()
	dialer := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", d.socket)
	}}
	d.t.Cleanup(dialer.CloseIdleConnections)
	return websocket.Dial(ctx, "ws://docker"+path, &websocket.DialOptions{HTTPClient: &http.Client{Transport: dialer}, HTTPHeader: header})
}

func TestAttachThroughAWebsocket(t *testing.T) {
	d := startDaemon(t)
	d.containers.attach = func(_ context.Context, s containers.Streams, attached func()) error {
		attached()
		line := make([]byte, 5)
		if _, err := io.ReadFull(s.Stdin, line); err != nil {
			return err
		}
		_, _ = s.Stdout.Write([]byte("out:" + string(line)))
		_, _ = s.Stderr.Write([]byte("err"))
		return nil
	}
	conn, _, err := d.websocket("/containers/web/attach/ws?stream=1&stdin=1&stdout=1&stderr=1", nil)
	require.NoError(t, err)
	defer conn.CloseNow()
	require.NoError(t, conn.Write(t.Context(), websocket.MessageText, []byte("hel")))
	require.NoError(t, conn.Write(t.Context(), websocket.MessageBinary, []byte("lo")))
	kind, got, err := conn.Read(t.Context())
	require.NoError(t, err)
	assert.Equal(t, websocket.MessageBinary, kind)
	assert.Equal(t, "out:hello", string(got))
	_, got, err = conn.Read(t.Context())
	require.NoError(t, err)
	assert.Equal(t, "err", string(got))
	_, _, err = conn.Read(t.Context())
	assert.Equal(t, websocket.StatusNormalClosure, websocket.CloseStatus(err), "the output's end is told")
}

func TestAWebsocketThatIsRefusedGetsAnAnswer(t *testing.T) {
	d := startDaemon(t)
	d.containers.attach = func(context.Context, containers.Streams, func()) error { return errNoWeb }
	_, res, err := d.websocket("/containers/nosuch/attach/ws?stream=1&stdout=1", nil)
	require.Error(t, err)
	assert.Equal(t, http.StatusNotFound, res.StatusCode)
	d.containers.attach = func(_ context.Context, _ containers.Streams, attached func()) error { attached(); return nil }
	_, res, err = d.websocket("/containers/web/attach/ws?stream=1&stdout=1", http.Header{"Origin": {"http://evil.example"}})
	require.Error(t, err)
	assert.Equal(t, http.StatusForbidden, res.StatusCode, "a web page elsewhere cannot attach")
	res, body := d.dial().do("GET", "/containers/web/attach/ws?stream=1&stdout=1", "")
	assert.Equal(t, http.StatusUpgradeRequired, res.StatusCode)
	assert.True(t, strings.Contains(body, "WebSocket"), body)
}

func TestAWebsocketsClientThatGoesEndsTheAttachment(t *testing.T) {
	d := startDaemon(t)
	for _, query := range []string{"?stream=1&stdout=1", "?stream=1&stdin=1&stdout=1"} {
		ended := make(chan struct{})
		d.containers.attach = func(ctx context.Context, s containers.Streams, attached func()) error {
			defer close(ended)
			attached()
			if s.Stdin != nil {
				_, _ = io.Copy(io.Discard, s.Stdin)
			}
			<-ctx.Done()
			return nil
		}
		conn, _, err := d.websocket("/containers/web/attach/ws"+query, nil)
		require.NoError(t, err)
		require.NoError(t, conn.CloseNow())
		select {
		case <-ended:
		case <-time.After(20 * time.Second):
			t.Fatal("the attachment goes on")
		}
	}
}

func TestWebsocketsEndWithTheServer(t *testing.T) {
	d := newDaemon(t)
	require.NoError(t, d.Start(t.Context()))
	d.containers.attach = func(ctx context.Context, _ containers.Streams, attached func()) error {
		attached()
		<-ctx.Done()
		return nil
	}
	conn, _, err := d.websocket("/containers/web/attach/ws?stream=1&stdout=1", nil)
	require.NoError(t, err)
	defer conn.CloseNow()
	go func() { _, _, _ = conn.Read(context.Background()) }()
	require.NoError(t, d.Stop(context.Background()))
}
