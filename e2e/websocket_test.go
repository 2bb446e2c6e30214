package e2e

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestAttachThroughAWebsocket(t *testing.T) {
	onBoth(t, func(t *testing.T, d *daemon) {
		id := d.create(t, "cat; echo end >&2", config(func(c *container.Config) { c.OpenStdin, c.StdinOnce = true, true }))
		ctx := testContext(t)
		transport := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", d.socket)
		}}
		t.Cleanup(transport.CloseIdleConnections)
		dial := func() *websocket.Conn {
			conn, _, err := websocket.Dial(ctx, "ws://docker/v1.44/containers/"+id+"/attach/ws?stream=1&stdin=1&stdout=1&stderr=1",
				&websocket.DialOptions{HTTPClient: &http.Client{Transport: transport}})
			require.NoError(t, err)
			return conn
		}
		conn, watcher := dial(), dial()
		defer watcher.CloseNow()
		d.startContainer(t, id)
		require.NoError(t, conn.Write(ctx, websocket.MessageText, []byte("typed\n")))
		_, got, err := conn.Read(ctx)
		require.NoError(t, err)
		assert.Equal(t, "typed\n", string(got))
		require.NoError(t, conn.Close(websocket.StatusNormalClosure, "")) // the end of the input, once
		assert.Zero(t, d.wait(t, id))
		var all strings.Builder
		for err == nil {
			_, got, err = watcher.Read(ctx)
			all.Write(got)
		}
		assert.Equal(t, "typed\nend\n", all.String())
		assert.Equal(t, websocket.StatusNormalClosure, websocket.CloseStatus(err))
	})
}

// Clients that connect and say nothing, or not all, keep nobody out, and are
// closed.
func TestSilentClientsAreClosed(t *testing.T) {
	t.Parallel()
	d := sharedDaemon(t, embedded)
	var silent []net.Conn
	for i := range 100 {
		conn, err := net.Dial("unix", d.socket)
		require.NoError(t, err)
		defer conn.Close()
		if i%2 == 0 {
			_, err = io.WriteString(conn, "GET /_ping HTTP/1.1\r\nHost: d\r\n")
			require.NoError(t, err)
		}
		silent = append(silent, conn)
	}
	begun := time.Now()
	_, err := d.client.Ping(testContext(t), client.PingOptions{})
	require.NoError(t, err)
	assert.Less(t, time.Since(begun), 5*time.Second, "others are served")
	for _, conn := range silent {
		require.NoError(t, conn.SetReadDeadline(time.Now().Add(time.Minute)))
		_, err := io.Copy(io.Discard, conn)
		assert.False(t, errors.Is(err, os.ErrDeadlineExceeded), "it is still open")
	}
}
