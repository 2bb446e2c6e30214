package networks

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/api/types/network"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/vishvananda/netlink"

	"github.com/pouchfx/pouchfx/networktypes"
)

func withAddress(addr string) func(*networktypes.Endpoint) {
	return func(ep *networktypes.Endpoint) {
		ep.EndpointConfig.IPAMConfig = &network.EndpointIPAMConfig{IPv4Address: netip.MustParseAddr(addr)}
	}
}

func TestInterfacesAndTheDefaultRouteFollowPriorities(t *testing.T) {
	h := newHouse(t)
	for name, subnet := range map[string]string{"a": "10.1.0.0/24", "b": "10.2.0.0/24", "c": "10.3.0.0/24", "d": "10.4.0.0/24"} {
		h.create(name, withSubnet(subnet))
	}
	id := h.open("web")
	require.NoError(t, h.Connect(t.Context(), id, endpointOn("b"), endpointOn("a"),
		endpointOn("c", func(ep *networktypes.Endpoint) { ep.Priority = 5 })))
	assert.Equal(t, []string{"lo 127.0.0.1/8", "eth0 10.3.0.2/24", "eth1 10.1.0.2/24", "eth2 10.2.0.2/24"}, h.links(id))
	assert.Equal(t, "10.3.0.1", h.defaultRoute(id).String())

	// A bigger one takes the route over; interfaces keep their names.
	require.NoError(t, h.Connect(t.Context(), id, endpointOn("d", func(ep *networktypes.Endpoint) { ep.Priority = 9 })))
	assert.Equal(t, "10.4.0.1", h.defaultRoute(id).String())
	assert.Equal(t, "eth3 10.4.0.2/24", h.links(id)[4])
	for _, step := range []struct{ leave, gateway string }{{"d", "10.3.0.1"}, {"c", "10.1.0.1"}, {"a", "10.2.0.1"}} {
		require.NoError(t, h.Disconnect(t.Context(), id, step.leave, false))
		assert.Equal(t, step.gateway, h.defaultRoute(id).String(), "without "+step.leave)
	}
	require.NoError(t, h.Disconnect(t.Context(), id, "b", false))
	assert.False(t, h.defaultRoute(id).IsValid())
	assert.Equal(t, []string{"lo 127.0.0.1/8"}, h.links(id))

	h.connect(id, "a") // a name that is free again
	assert.Equal(t, []string{"lo 127.0.0.1/8", "eth0 10.1.0.3/24"}, h.links(id))
}

func TestInternalNetworksHaveNoDefaultRoute(t *testing.T) {
	h := newHouse(t)
	h.create("inner", func(r *network.CreateRequest) { r.Internal = true })
	h.create("outer", withSubnet("10.5.0.0/24"))
	id := h.run("web", "inner")
	assert.False(t, h.defaultRoute(id).IsValid())
	assert.False(t, h.on(id, "inner").Gateway.IsValid())
	assert.True(t, h.Names(id).Gateway.IsValid(), "the host is reached all the same")
	h.connect(id, "outer")
	assert.Equal(t, "10.5.0.1", h.defaultRoute(id).String())
}

func TestAddressesThatClientsChoose(t *testing.T) {
	h := newHouse(t)
	h.create("mynet", func(r *network.CreateRequest) {
		r.IPAM = &network.IPAM{Config: []network.IPAMConfig{{Subnet: netip.MustParsePrefix("10.5.0.0/24"), IPRange: netip.MustParsePrefix("10.5.0.64/26"),
			Gateway: netip.MustParseAddr("10.5.0.254"), AuxAddress: map[string]netip.Addr{"router": netip.MustParseAddr("10.5.0.64")}}}}
	})
	mac := network.HardwareAddr{2, 0, 0, 0, 0, 7}
	web := h.open("web")
	require.NoError(t, h.Connect(t.Context(), web, endpointOn("mynet", withAddress("10.5.0.200"), func(ep *networktypes.Endpoint) { ep.EndpointConfig.MacAddress = mac })))
	ep := h.on(web, "mynet")
	assert.Equal(t, "10.5.0.200", ep.IPAddress.String())
	assert.Equal(t, mac, ep.MacAddress)
	assert.Equal(t, "10.5.0.254", h.defaultRoute(web).String())
	h.inside(web, func() {
		link, err := netlink.LinkByName("eth0")
		require.NoError(t, err)
		assert.Equal(t, mac.String(), link.Attrs().HardwareAddr.String())
	})
	other := h.run("other", "mynet")
	assert.Equal(t, "10.5.0.65", h.on(other, "mynet").IPAddress.String(), "the range's first that has no other use")

	third := h.open("third")
	for addr, says := range map[string]string{
		"10.5.0.200": "Address already in use: container web has 10.5.0.200 on network mynet",
		"10.5.0.254": "Address already in use",
		"10.5.0.64":  "Address already in use",
	} {
		err := h.Connect(t.Context(), third, endpointOn("mynet", withAddress(addr)))
		assert.ErrorContains(t, err, says)
		assert.True(t, errdefs.IsPermissionDenied(err))
	}
	assert.Equal(t, []string{"lo 127.0.0.1/8"}, h.links(third))
	assert.ElementsMatch(t, []string{"10.5.0.64", "10.5.0.65", "10.5.0.200"}, h.leases(h.inspect("mynet").ID))
}

func TestEndpointsAreCheckedInDockersWords(t *testing.T) {
	h := newHouse(t)
	h.create("given", withSubnet("10.5.0.0/24"))
	h.create("chosen")
	for _, tc := range []struct {
		network, says string
		settings      network.EndpointSettings
	}{
		{"bridge", "user specified IP address is supported on user defined networks only", static("172.17.0.9")},
		{"none", "user specified IP address is supported on user defined networks only", static("172.17.0.9")},
		{"chosen", "user specified IP address is supported only when connecting to networks with user configured subnets", static("172.18.0.9")},
		{"given", "no configured subnet contains IP address 10.6.0.1", static("10.6.0.1")},
		{"given", "invalid IP address 10.5.0.255: it is the broadcast address", static("10.5.0.255")},
		{"bridge", "network-scoped alias is supported only for containers in user defined networks", network.EndpointSettings{Aliases: []string{"a"}}},
		{"given", `invalid alias "a b"`, network.EndpointSettings{Aliases: []string{"a b"}}},
		{"given", "bad format for links: a:b:c", network.EndpointSettings{Links: []string{"a:b:c"}}},
		{"given", "invalid MAC address 01:00:00:00:00:00", network.EndpointSettings{MacAddress: network.HardwareAddr{1, 0, 0, 0, 0, 0}}},
		{"given", "com.docker.network.endpoint.ifname is not supported", network.EndpointSettings{DriverOpts: map[string]string{"com.docker.network.endpoint.ifname": "x0"}}},
	} {
		n, err := h.Find(tc.network)
		require.NoError(t, err)
		err = h.Check(n, &tc.settings)
		require.ErrorContains(t, err, "invalid config for network "+tc.network+": invalid endpoint settings:\n")
		assert.ErrorContains(t, err, tc.says)
		assert.True(t, errdefs.IsInvalidArgument(err))
		id := h.open("web")
		assert.ErrorContains(t, h.Connect(t.Context(), id, &networktypes.Endpoint{Network: tc.network, EndpointConfig: &tc.settings}), tc.says)
	}
	n, err := h.Find("given")
	require.NoError(t, err)
	assert.NoError(t, h.Check(n, nil))
	settings := static("10.5.0.9")
	assert.NoError(t, h.Check(n, &settings))
}

func static(addr string) network.EndpointSettings {
	return network.EndpointSettings{IPAMConfig: &network.EndpointIPAMConfig{IPv4Address: netip.MustParseAddr(addr)}}
}

func TestConnectIsAllOrNothing(t *testing.T) {
	h := newHouse(t)
	n := h.create("mynet")
	id := h.open("web")
	err := h.Connect(t.Context(), id, endpointOn("mynet"), endpointOn("missing"))
	assert.EqualError(t, err, "network missing not found")
	assert.Equal(t, []string{"lo 127.0.0.1/8"}, h.links(id))
	assert.Empty(t, h.leases(n.ID))
	assert.Empty(t, h.inspect("mynet").Containers)

	h.connect(id, "mynet")
	err = h.Connect(t.Context(), id, endpointOn(n.ID))
	assert.True(t, errdefs.IsPermissionDenied(err))
	assert.EqualError(t, err, "endpoint with name web already exists in network mynet")
	assert.True(t, errdefs.IsPermissionDenied(h.Connect(t.Context(), id, endpointOn("host"))))
	assert.True(t, errdefs.IsNotFound(h.Connect(t.Context(), containerID("other"), endpointOn("mynet"))))
	assert.True(t, errdefs.IsNotFound(h.Disconnect(t.Context(), id, "bridge", false)))
}

func TestTheNetworkNoneIsShownAndHasNoInterface(t *testing.T) {
	h := newHouse(t)
	id := h.run("web", "none")
	ep := h.on(id, "none")
	assert.Equal(t, h.inspect("none").ID, ep.NetworkID)
	assert.NotEmpty(t, ep.EndpointID)
	assert.Equal(t, []string{"lo 127.0.0.1/8"}, h.links(id))
	require.NoError(t, h.Disconnect(t.Context(), id, "none", false))
}

func TestSettingsAreAsDockerShowsThem(t *testing.T) {
	h := newHouse(t)
	n := h.create("mynet", withSubnet("10.5.0.0/24"))
	id := h.open("web", func(sb *Sandbox) { sb.Hostname = "myhost" })
	require.NoError(t, h.Connect(t.Context(), id, endpointOn("mynet", withAddress("10.5.0.9"), func(ep *networktypes.Endpoint) {
		ep.EndpointConfig.Aliases = []string{"www"}
		ep.EndpointConfig.DriverOpts = map[string]string{"a": "b"}
	})))
	settings, ok := h.Settings(id)
	require.True(t, ok)
	assert.Len(t, settings.SandboxID, 64)
	assert.True(t, strings.HasSuffix(settings.SandboxKey, "/x/networks/"+id+"/netns"))
	ep := settings.Networks["mynet"]
	assert.Len(t, ep.EndpointID, 64)
	assert.Equal(t, &network.EndpointSettings{
		IPAMConfig: &network.EndpointIPAMConfig{IPv4Address: netip.MustParseAddr("10.5.0.9")},
		Aliases:    []string{"www", id[:12]}, DriverOpts: map[string]string{"a": "b"},
		NetworkID: n.ID, EndpointID: ep.EndpointID, Gateway: netip.MustParseAddr("10.5.0.1"),
		IPAddress: netip.MustParseAddr("10.5.0.9"), IPPrefixLen: 24, MacAddress: ep.MacAddress,
		DNSNames: []string{"web", "www", id[:12], "myhost"},
	}, ep)
	_, ok = h.Settings("unknown")
	assert.False(t, ok)
}

func TestOpenTakesDownWhatWasThere(t *testing.T) {
	h := newHouse(t)
	id := h.run("web", "bridge")
	first := h.on(id, "bridge").IPAddress
	assert.Equal(t, id, h.open("web"))
	assert.Equal(t, []string{"lo 127.0.0.1/8"}, h.links(id))
	assert.NotContains(t, h.leases(h.inspect("bridge").ID), first.String())
	_, err := h.Open(t.Context(), Sandbox{Container: "../x"})
	assert.True(t, errdefs.IsInvalidArgument(err))
}
