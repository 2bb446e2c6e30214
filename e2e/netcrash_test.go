package e2e

import (
	"syscall"
	"testing"
	"time"

	"github.com/moby/moby/api/types/container"
	networktypes "github.com/moby/moby/api/types/network"
	"github.com/moby/moby/client"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestNetworksOutliveADaemonThatIsKilled(t *testing.T) {
	onOwn(t, func(t *testing.T, d *daemon) {
		ctx := testContext(t)
		d.load(t, "box")
		empty := d.traces(t)
		n := d.network(t, client.NetworkCreateOptions{})
		db := d.runs(t, network(n), named("db"))
		web := d.runs(t, network(n), published("80"), named("web"))
		short := d.create(t, "sleep 0.5", network(n), named("short"))
		d.startContainer(t, short)
		before := d.inspect(t, web).NetworkSettings
		port := before.Ports[networktypes.MustParsePort("80")][0].HostPort

		d.signal(syscall.SIGKILL)
		assert.NotEmpty(t, page(t, "127.0.0.1:"+port, "/hostname"), "a port is published without the daemon")
		time.Sleep(time.Second) // short ends while nobody looks
		require.NoError(t, d.start())

		after := d.inspect(t, web).NetworkSettings
		assert.Equal(t, before, after)
		assert.NotEmpty(t, page(t, "127.0.0.1:"+port, "/hostname"))
		assert.NotEmpty(t, d.ok(t, web, "get http://db/hostname"), "names are found again")
		assert.False(t, d.inspect(t, short).NetworkSettings.Networks[n].IPAddress.IsValid(), "what ended has nothing")
		found, err := d.client.NetworkInspect(ctx, n, client.NetworkInspectOptions{})
		require.NoError(t, err)
		assert.Len(t, found.Network.Containers, 2)

		for _, id := range []string{db, web, short} {
			_, err := d.client.ContainerRemove(ctx, id, client.ContainerRemoveOptions{Force: true})
			require.NoError(t, err)
		}
		_, err = d.client.NetworkRemove(ctx, n, client.NetworkRemoveOptions{})
		require.NoError(t, err)
		assert.Equal(t, empty, d.traces(t), "nothing is left")
	})
}

func TestStartsThatAreKilledLeaveNoNetwork(t *testing.T) {
	onOwn(t, func(t *testing.T, d *daemon) {
		d.load(t, "box")
		empty := d.traces(t)
		for i := range 12 {
			id := d.create(t, "sleep 1000", network("bridge"), published("80"))
			go d.client.ContainerStart(testContext(t), id, client.ContainerStartOptions{})
			time.Sleep(time.Duration(i*15) * time.Millisecond)
			d.signal(syscall.SIGKILL)
			require.NoError(t, d.start())
			if c := d.inspect(t, id); c.State.Running {
				assert.True(t, c.NetworkSettings.Networks["bridge"].IPAddress.IsValid())
				assert.Contains(t, d.ok(t, id, "ifaces"), "eth0")
			} else {
				assert.Equal(t, container.StateCreated, c.State.Status)
				assert.Empty(t, c.State.Error)
			}
			_, err := d.client.ContainerRemove(testContext(t), id, client.ContainerRemoveOptions{Force: true})
			require.NoError(t, err)
			assert.Equal(t, empty, d.traces(t), "after %d ms", i*15)
		}
	})
}
