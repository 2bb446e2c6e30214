package e2e

import (
	"testing"

	"github.com/containerd/errdefs"
	networktypes "github.com/moby/moby/api/types/network"
	"github.com/moby/moby/client"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestConnectingRunningContainers(t *testing.T) {
	onBoth(t, func(t *testing.T, d *daemon) {
		ctx := testContext(t)
		first, second := d.network(t, client.NetworkCreateOptions{}), d.network(t, client.NetworkCreateOptions{})
		db := d.runs(t, network(second), named("db-"+second))
		web := d.runs(t, network(first))
		d.ok(t, web, "echo '1.2.3.4 mine' >> /etc/hosts")
		connect := func(e *networktypes.EndpointSettings) error {
			_, err := d.client.NetworkConnect(ctx, second, client.NetworkConnectOptions{Container: web, EndpointConfig: e})
			return err
		}
		require.NoError(t, connect(&networktypes.EndpointSettings{Aliases: []string{"www"}}))
		e := d.inspect(t, web).NetworkSettings.Networks[second]
		require.NotNil(t, e)
		assert.Contains(t, d.ok(t, web, "ifaces"), "eth1 "+e.MacAddress.String()+" "+e.IPAddress.String())
		assert.Equal(t, e.IPAddress.String(), d.ok(t, db, "resolve www"))
		d.ok(t, web, "get http://db-"+second+"/hostname")
		assert.Contains(t, d.ok(t, web, "cat /etc/hosts"), e.IPAddress.String())
		assert.Contains(t, d.ok(t, web, "cat /etc/hosts"), "1.2.3.4 mine", "what was written in the container stays")
		err := connect(nil)
		assert.True(t, errdefs.IsPermissionDenied(err), "%v", err)
		assert.ErrorContains(t, err, "already exists in network "+second)

		// It is part of the container from now on.
		_, err = d.client.ContainerRestart(ctx, web, client.ContainerRestartOptions{Timeout: new(int)})
		require.NoError(t, err)
		assert.Len(t, d.inspect(t, web).NetworkSettings.Networks, 2)
		assert.Len(t, lines(d.ok(t, web, "ifaces")), 3)
		assert.NotEmpty(t, d.ok(t, db, "resolve www"))

		disconnect := func(n string) error {
			_, err := d.client.NetworkDisconnect(ctx, n, client.NetworkDisconnectOptions{Container: web})
			return err
		}
		require.NoError(t, disconnect(first), "the one that it began with")
		assert.NotContains(t, d.inspect(t, web).NetworkSettings.Networks, first)
		e = d.inspect(t, web).NetworkSettings.Networks[second]
		assert.Equal(t, "eth1 "+e.Gateway.String(), d.ok(t, web, "ifaces gateway"), "the default route moved")
		require.NoError(t, disconnect(second))
		assert.Len(t, lines(d.ok(t, web, "ifaces")), 1)
		assert.NotContains(t, d.ok(t, web, "cat /etc/hosts"), e.IPAddress.String())
		assert.NotZero(t, d.exec(t, db, "resolve www").code)
		assert.ErrorContains(t, disconnect(second), "is not connected to network "+second)
		require.NoError(t, connect(nil), "and back")
		d.ok(t, web, "get http://db-"+second+"/hostname")
	})
}

func TestConnectingContainersThatDoNotRun(t *testing.T) {
	onBoth(t, func(t *testing.T, d *daemon) {
		ctx := testContext(t)
		n := d.network(t, client.NetworkCreateOptions{})
		id := d.create(t, "ifaces", network("bridge"))
		_, err := d.client.NetworkConnect(ctx, n, client.NetworkConnectOptions{Container: id})
		require.NoError(t, err)
		assert.NotEmpty(t, d.inspect(t, id).NetworkSettings.Networks[n].NetworkID)
		_, err = d.client.NetworkDisconnect(ctx, "bridge", client.NetworkDisconnectOptions{Container: id})
		require.NoError(t, err)
		d.startContainer(t, id)
		require.Zero(t, d.wait(t, id))
		assert.Len(t, lines(d.logs(t, id, client.ContainerLogsOptions{}).stdout), 2, "loopback and one interface")

		// A network that is gone is forgotten by force only.
		_, err = d.client.NetworkRemove(ctx, n, client.NetworkRemoveOptions{})
		require.NoError(t, err, "a stopped container is no hindrance")
		_, err = d.client.ContainerStart(ctx, id, client.ContainerStartOptions{})
		assert.True(t, errdefs.IsNotFound(err), "%v", err)
		assert.ErrorContains(t, err, "network "+n+" not found")
		_, err = d.client.NetworkDisconnect(ctx, n, client.NetworkDisconnectOptions{Container: id})
		assert.True(t, errdefs.IsNotFound(err), "%v", err)
		_, err = d.client.NetworkDisconnect(ctx, n, client.NetworkDisconnectOptions{Container: id, Force: true})
		require.NoError(t, err)
		d.startContainer(t, id)
		require.Zero(t, d.wait(t, id))

		for mode, want := range map[string]string{"host": "sharing network namespace", "none": "private (none) mode"} {
			id := d.create(t, "true", network(mode))
			_, err := d.client.NetworkConnect(ctx, "bridge", client.NetworkConnectOptions{Container: id})
			assert.True(t, errdefs.IsInvalidArgument(err), "%v", err)
			assert.ErrorContains(t, err, want)
		}
		_, err = d.client.NetworkConnect(ctx, "host", client.NetworkConnectOptions{Container: id})
		assert.ErrorContains(t, err, "cannot connect container to host network")
		_, err = d.client.NetworkConnect(ctx, "nosuch", client.NetworkConnectOptions{Container: id})
		assert.True(t, errdefs.IsNotFound(err), "%v", err)
	})
}
