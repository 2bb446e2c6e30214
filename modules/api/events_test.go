package api

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/moby/moby/api/types/events"
	"github.com/moby/moby/client"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestEventsFlushAtOnceThenFollow(t *testing.T) {
	d := startDaemon(t)
	d.bus.Container(events.ActionCreate, "abc", map[string]string{"image": "busybox", "name": "web"})
	conn := d.dial()
	conn.request("GET", "/v1.44/events", "")
	assert.Contains(t, conn.head(), "200 OK")
	d.bus.Volume(events.ActionCreate, "v", nil)
	d.bus.Container(events.ActionStart, "abc", map[string]string{"image": "busybox", "name": "web"})
	var seen []map[string]any
	for len(seen) < 2 {
		line, err := conn.in.ReadString('\n')
		require.NoError(t, err)
		var m map[string]any
		if json.Unmarshal([]byte(line), &m) == nil {
			seen = append(seen, m)
		}
	}
	assert.Equal(t, "volume", seen[0]["Type"], "nothing of the past")
	assert.NotContains(t, seen[0], "status")
	assert.Equal(t, "start", seen[1]["status"])
	assert.Equal(t, "abc", seen[1]["id"])
	assert.Equal(t, "busybox", seen[1]["from"])
	assert.Equal(t, "local", seen[1]["scope"])
}

func TestEventsWithDockersClient(t *testing.T) {
	d := startDaemon(t)
	d.bus.Container(events.ActionCreate, "abc", nil)
	d.bus.Image(events.ActionPull, "busybox", nil)
	d.bus.Container(events.ActionStart, "abc", nil)
	result := d.client().Events(t.Context(), client.EventsListOptions{
		Since: "1m", Until: time.Now().Add(time.Second).Format(time.RFC3339Nano), Filters: client.Filters{}.Add("type", "container"),
	})
	assert.Equal(t, events.ActionCreate, (<-result.Messages).Action)
	assert.Equal(t, events.ActionStart, (<-result.Messages).Action)
	<-result.Err // the end

	res, _ := d.dial().do("GET", "/events?since=20&until=10", "")
	assert.Equal(t, 400, res.StatusCode)
	res, _ = d.dial().do("GET", "/events?filters=x", "")
	assert.Equal(t, 400, res.StatusCode)
}
