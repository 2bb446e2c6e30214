package e2e

import (
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/api/types/container"
	networktypes "github.com/moby/moby/api/types/network"
	"github.com/moby/moby/client"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestTheDefaultNetwork(t *testing.T) {
	onBoth(t, func(t *testing.T, d *daemon) {
		id := d.runs(t, network("default"), published("80/tcp"))
		c := d.inspect(t, id)
		assert.EqualValues(t, "bridge", c.HostConfig.NetworkMode)
		e := c.NetworkSettings.Networks["bridge"]
		require.NotNil(t, e)
		require.True(t, e.IPAddress.IsValid())
		assert.NotEmpty(t, c.NetworkSettings.SandboxKey)

		ifaces := lines(d.ok(t, id, "ifaces"))
		require.Len(t, ifaces, 2)
		assert.Equal(t, fmt.Sprintf("eth0 %s %s/%d", e.MacAddress, e.IPAddress, e.IPPrefixLen), ifaces[1])
		assert.Equal(t, "eth0 "+e.Gateway.String(), d.ok(t, id, "ifaces gateway"))
		assert.Equal(t, e.IPAddress.String(), d.ok(t, id, "resolve $(hostname)"), "its own name")

		// From the host: by the container's address, and by the published port.
		assert.Contains(t, page(t, e.IPAddress.String()+":80", "/hostname"), c.Config.Hostname)
		binding := c.NetworkSettings.Ports[networktypes.MustParsePort("80/tcp")]
		require.NotEmpty(t, binding)
		assert.Contains(t, page(t, "127.0.0.1:"+binding[0].HostPort, "/hostname"), c.Config.Hostname)

		list, err := d.client.ContainerList(testContext(t), client.ContainerListOptions{Filters: client.Filters{}.Add("id", id).Add("publish", "80").Add("expose", "80/tcp").Add("network", e.NetworkID)})
		require.NoError(t, err)
		require.Len(t, list.Items, 1)
		assert.Equal(t, binding[0].HostPort, fmt.Sprint(list.Items[0].Ports[0].PublicPort))
		for key, value := range map[string]string{"publish": "81", "expose": "80/udp", "network": "none"} {
			list, err := d.client.ContainerList(testContext(t), client.ContainerListOptions{Filters: client.Filters{}.Add("id", id).Add(key, value)})
			require.NoError(t, err)
			assert.Empty(t, list.Items, key)
		}

		// A second container of the network reaches it; what ended has nothing.
		other := d.create(t, "get http://"+e.IPAddress.String()+"/hostname", network("bridge"))
		d.startContainer(t, other)
		require.Zero(t, d.wait(t, other))
		assert.Contains(t, d.logs(t, other, client.ContainerLogsOptions{}).stdout, c.Config.Hostname)
		ended := d.inspect(t, other).NetworkSettings
		assert.False(t, ended.Networks["bridge"].IPAddress.IsValid())
		assert.Equal(t, e.NetworkID, ended.Networks["bridge"].NetworkID, "the configured endpoint is shown")
		assert.Empty(t, ended.Ports)
	})
}

// page fetches a page from the host's side.
func page(t testing.TB, address, path string) string {
	t.Helper()
	web := http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	res, err := web.Get("http://" + address + path)
	require.NoError(t, err)
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	require.NoError(t, err)
	return string(text)
}

func TestContainersFindEachOtherByName(t *testing.T) {
	onBoth(t, func(t *testing.T, d *daemon) {
		n, elsewhere := d.network(t, client.NetworkCreateOptions{}), d.network(t, client.NetworkCreateOptions{})
		name := "db-" + n
		db := d.runs(t, named(name), network(n), endpoint(n, &networktypes.EndpointSettings{Aliases: []string{"database"}}),
			config(func(c *container.Config) { c.Hostname = "store" }))
		address := d.inspect(t, db).NetworkSettings.Networks[n].IPAddress.String()
		web := d.runs(t, network(n), host(func(h *container.HostConfig) {
			h.ExtraHosts = []string{"elsewhere:10.9.8.7", "host.docker.internal:host-gateway"}
			h.DNSSearch = []string{"example.org"}
		}))
		for _, alias := range []string{name, "database", db[:12], "store", name + "." + n} {
			assert.Equal(t, address, d.ok(t, web, "resolve "+alias), alias)
		}
		assert.Contains(t, d.ok(t, web, "resolve "+address), name)
		assert.Equal(t, "store", d.ok(t, web, "get http://database/hostname"))
		assert.Equal(t, "10.9.8.7", d.ok(t, web, "resolve elsewhere"))
		assert.Equal(t, d.inspect(t, web).NetworkSettings.Networks[n].Gateway.String(), d.ok(t, web, "resolve host.docker.internal"))
		resolv := d.ok(t, web, "cat /etc/resolv.conf")
		assert.Contains(t, resolv, "nameserver 127.0.0.11\n")
		assert.Contains(t, resolv, "search example.org\n")

		_, err := d.client.ContainerRename(testContext(t), db, client.ContainerRenameOptions{NewName: name + "x"})
		require.NoError(t, err)
		assert.Equal(t, address, d.ok(t, web, "resolve "+name+"x"))
		assert.NotZero(t, d.exec(t, web, "resolve "+name).code, "not by its old name")

		apart := d.runs(t, network(elsewhere))
		assert.NotZero(t, d.exec(t, apart, "resolve database").code, "names are those of one's own networks")
		assert.NotZero(t, d.exec(t, apart, "nc -z -w 1 "+address+" 80").code, "networks are apart")
	})
}

func TestSharedAndMissingNetworks(t *testing.T) {
	onBoth(t, func(t *testing.T, d *daemon) {
		r := d.run(t, "ifaces", network("none"))
		assert.Len(t, lines(r.stdout), 1, "loopback")
		assert.Contains(t, r.stdout, "127.0.0.1/8")
		r = d.run(t, "ifaces", network("host"))
		assert.Contains(t, r.stdout, " 172.", "the host's bridges")

		owner := d.runs(t, network("bridge"), config(func(c *container.Config) { c.Hostname = "owner" }))
		guest := d.create(t, "get http://127.0.0.1/hostname; hostname; cat /etc/hosts; ifaces", network("container:"+owner))
		d.startContainer(t, guest)
		require.Zero(t, d.wait(t, guest))
		out := d.logs(t, guest, client.ContainerLogsOptions{}).stdout
		assert.True(t, strings.HasPrefix(out, "owner\nowner\n"), "%s", out)
		assert.Contains(t, out, d.inspect(t, owner).NetworkSettings.Networks["bridge"].IPAddress.String()+"\towner")
		assert.Empty(t, d.inspect(t, guest).NetworkSettings.Networks)

		r = d.run(t, "ifaces", network("bridge"), config(func(c *container.Config) { c.NetworkDisabled = true }))
		assert.Len(t, lines(r.stdout), 1)
	})
}

func TestSeveralNetworksWithFixedAddresses(t *testing.T) {
	onBoth(t, func(t *testing.T, d *daemon) {
		subnet := map[engine]string{embedded: "10.88.1", external: "10.88.2"}[d.kind()]
		fixed := d.network(t, client.NetworkCreateOptions{IPAM: &networktypes.IPAM{Config: []networktypes.IPAMConfig{{Subnet: netip.MustParsePrefix(subnet + ".0/24")}}}})
		other := d.network(t, client.NetworkCreateOptions{})
		mac := networktypes.HardwareAddr{2, 0x42, 0, 0, 0, 9}
		address := netip.MustParseAddr(subnet + ".77")
		at := func() spec {
			return endpoint(fixed, &networktypes.EndpointSettings{MacAddress: mac, GwPriority: 7, IPAMConfig: &networktypes.EndpointIPAMConfig{IPv4Address: address}})
		}
		id := d.runs(t, network(other), endpoint(other, &networktypes.EndpointSettings{}), at())
		ifaces := lines(d.ok(t, id, "ifaces"))
		require.Len(t, ifaces, 3)
		assert.Equal(t, fmt.Sprintf("eth0 %s %s/24", mac, address), ifaces[1], "the bigger priority comes first")
		assert.Equal(t, "eth0 "+subnet+".1", d.ok(t, id, "ifaces gateway"))

		// The same address a second time.
		second := d.create(t, "true", network(fixed), at())
		_, err := d.client.ContainerStart(testContext(t), second, client.ContainerStartOptions{})
		require.ErrorContains(t, err, "Address already in use")
		assert.Equal(t, container.StateCreated, d.inspect(t, second).State.Status)
		_, err = d.client.ContainerStop(testContext(t), id, client.ContainerStopOptions{Timeout: new(int)})
		require.NoError(t, err)
		d.startContainer(t, second) // who stopped has given it back
		require.Zero(t, d.wait(t, second))

		for name, e := range map[string]*networktypes.EndpointSettings{
			other:    {IPAMConfig: &networktypes.EndpointIPAMConfig{IPv4Address: address}},
			fixed:    {IPAMConfig: &networktypes.EndpointIPAMConfig{IPv4Address: netip.MustParseAddr("10.99.0.1")}},
			"bridge": {Aliases: []string{"x"}},
		} {
			o := client.ContainerCreateOptions{Config: &container.Config{Image: "box"}, HostConfig: &container.HostConfig{NetworkMode: container.NetworkMode(name)}}
			endpoint(name, e)(&o)
			_, err := d.client.ContainerCreate(testContext(t), o)
			assert.True(t, errdefs.IsInvalidArgument(err), "%s: %v", name, err)
			assert.ErrorContains(t, err, "invalid config for network "+name)
		}
	})
}

func TestANetworkMayComeAfterItsContainer(t *testing.T) {
	onBoth(t, func(t *testing.T, d *daemon) {
		later := "later-" + string(d.kind())
		id := d.create(t, "ifaces", network(later))
		_, err := d.client.ContainerStart(testContext(t), id, client.ContainerStartOptions{})
		assert.True(t, errdefs.IsNotFound(err), "%v", err)
		assert.ErrorContains(t, err, "network "+later+" not found")
		_, err = d.client.NetworkCreate(testContext(t), later, client.NetworkCreateOptions{})
		require.NoError(t, err)
		defer d.client.NetworkRemove(testContext(t), later, client.NetworkRemoveOptions{})
		d.startContainer(t, id)
		require.Zero(t, d.wait(t, id))
		assert.Len(t, lines(d.logs(t, id, client.ContainerLogsOptions{}).stdout), 2)
	})
}

func TestAPortInUseFailsTheStart(t *testing.T) {
	onBoth(t, func(t *testing.T, d *daemon) {
		port := map[engine]string{embedded: "18080", external: "18081"}[d.kind()]
		at := func() spec {
			return host(func(h *container.HostConfig) {
				h.NetworkMode = "bridge"
				h.PortBindings = networktypes.PortMap{networktypes.MustParsePort("80"): {{HostPort: port}}}
			})
		}
		first, second := d.runs(t, at()), d.create(t, "true", at())
		_, err := d.client.ContainerStart(testContext(t), second, client.ContainerStartOptions{})
		require.ErrorContains(t, err, "port is already allocated")
		c := d.inspect(t, second)
		assert.Equal(t, container.StateCreated, c.State.Status)
		assert.False(t, c.NetworkSettings.Networks["bridge"].IPAddress.IsValid())
		_, err = d.client.ContainerStop(testContext(t), first, client.ContainerStopOptions{Timeout: new(int)})
		require.NoError(t, err)
		d.startContainer(t, second)
		require.Zero(t, d.wait(t, second))
	})
}

func TestRestartedContainersHaveTheirNetworkAgain(t *testing.T) {
	onBoth(t, func(t *testing.T, d *daemon) {
		id := d.create(t, "ifaces; sleep 0.1; exit 1", network("bridge"), host(func(h *container.HostConfig) {
			h.RestartPolicy = container.RestartPolicy{Name: "on-failure", MaximumRetryCount: 2}
		}))
		d.startContainer(t, id)
		require.NoError(t, waitFor(30*time.Second, func() bool {
			c := d.inspect(t, id)
			return c.RestartCount == 2 && c.State.Status == container.StateExited
		}))
		out := d.logs(t, id, client.ContainerLogsOptions{}).stdout
		assert.Equal(t, 3, strings.Count(out, "eth0 "), "%s", out)
	})
}
