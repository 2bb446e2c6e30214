package e2e

import (
	"context"
	"syscall"
	"testing"
	"time"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func (d *daemon) waitHealth(t testing.TB, id string, want container.HealthStatus) {
	t.Helper()
	require.NoError(t, waitFor(time.Minute, func() bool {
		h := d.inspect(t, id).State.Health
		return h != nil && h.Status == want
	}), "it does not become %s", want)
}

// A container's health is found out, shown, told, and known again to the next
// daemon, however the last one ended.
func TestHealthIsCheckedAcrossDaemons(t *testing.T) {
	onOwn(t, func(t *testing.T, d *daemon) {
		d.load(t, "box:latest")
		ctx, cancel := context.WithCancel(context.Background())
		defer cancel()
		events := d.client.Events(ctx, client.EventsListOptions{Filters: make(client.Filters).Add("event", "health_status")})
		id := d.create(t, "sleep 1000", config(func(c *container.Config) {
			c.Healthcheck = &container.HealthConfig{Test: []string{"CMD", "cat", "/tmp/ok"}, Interval: 50 * time.Millisecond, Retries: 2}
		}))
		d.startContainer(t, id)
		d.waitHealth(t, id, container.Unhealthy)
		assert.EqualValues(t, "health_status: unhealthy", (<-events.Messages).Action)
		require.NoError(t, d.copyTo(t, id, "/tmp", tarOf(t, "fine", headerOf("ok"))))
		d.waitHealth(t, id, container.Healthy)
		assert.EqualValues(t, "health_status: healthy", (<-events.Messages).Action)
		list, err := d.client.ContainerList(ctx, client.ContainerListOptions{Filters: make(client.Filters).Add("health", "healthy")})
		require.NoError(t, err)
		require.Len(t, list.Items, 1)
		assert.Contains(t, list.Items[0].Status, "(healthy)")
		for _, s := range []syscall.Signal{syscall.SIGTERM, syscall.SIGKILL} {
			d.signal(s)
			require.NoError(t, d.start())
			d.waitHealth(t, id, container.Healthy)
		}
	})
}
