package e2e

import (
	"context"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/coder/websocket"
	"github.com/moby/moby/api/types/container"
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
