package networks

import (
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/api/types/network"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/vishvananda/netlink"

	"github.com/pouchfx/pouchfx/modules/filters"
)

func withSubnet(subnet string) func(*network.CreateRequest) {
	return func(r *network.CreateRequest) {
		r.IPAM = &network.IPAM{Config: []network.IPAMConfig{{Subnet: netip.MustParsePrefix(subnet)}}}
	}
}

func withOption(key, value string) func(*network.CreateRequest) {
	return func(r *network.CreateRequest) { r.Options = map[string]string{key: value} }
}

func TestPredefinedNetworksKeepTheirIDs(t *testing.T) {
	h := newHouse(t)
	ids := map[string]string{}
	for name, driver := range map[string]string{"bridge": "bridge", "host": "host", "none": "null"} {
		n := h.inspect(name)
		assert.Equal(t, driver, n.Driver)
		ids[name] = n.ID
	}
	bridge := h.inspect("bridge")
	require.Len(t, bridge.IPAM.Config, 1)
	assert.Equal(t, "172.17.0.0/16", bridge.IPAM.Config[0].Subnet.String())
	assert.Equal(t, "172.17.0.1", bridge.IPAM.Config[0].Gateway.String())
	assert.Equal(t, "true", bridge.Options[optionDefault])
	h.end()
	h.begin()
	for name, id := range ids {
		assert.Equal(t, id, h.inspect(name).ID)
	}
}

func TestCreateMakesTheDeviceAndRemoveRemovesIt(t *testing.T) {
	h := newHouse(t)
	n := h.create("mynet", withSubnet("10.5.0.0/24"), func(r *network.CreateRequest) {
		r.Labels = map[string]string{"team": "a"}
		r.Options = map[string]string{optionMTU: "1400", optionBridge: "br-mine", "com.example.unknown": "x"}
	})
	assert.Equal(t, "local", n.Scope)
	assert.Equal(t, map[string]string{"team": "a"}, n.Labels)
	assert.Equal(t, "x", n.Options["com.example.unknown"])
	link, err := netlink.LinkByName("br-mine")
	require.NoError(t, err)
	assert.Equal(t, 1400, link.Attrs().MTU)
	assert.Contains(t, link.Attrs().Alias, n.ID+" mynet")
	addrs, err := netlink.AddrList(link, netlink.FAMILY_V4)
	require.NoError(t, err)
	require.Len(t, addrs, 1)
	assert.Equal(t, "10.5.0.1/24", addrs[0].IPNet.String())

	require.NoError(t, h.Remove(t.Context(), "mynet"))
	assert.NotContains(t, devices(t), "br-mine")
	_, err = h.Find("mynet")
	assert.True(t, errdefs.IsNotFound(err))
	assert.EqualError(t, err, "network mynet not found")
	assert.Equal(t, []string{"create", "destroy"}, h.said("mynet"))
}

func TestWhatCannotBeMadeIsRefusedByName(t *testing.T) {
	h := newHouse(t)
	h.create("taken", withSubnet("10.5.0.0/24"), withOptionTo("br-taken"))
	lan(t, "lan0", "10.6.0.1/24")
	no := false
	for name, tc := range map[string]struct {
		request network.CreateRequest
		is      func(error) bool
		says    string
	}{
		"same name":         {network.CreateRequest{Name: "taken"}, errdefs.IsConflict, "network with name taken already exists"},
		"no name":           {network.CreateRequest{}, errdefs.IsInvalidArgument, "invalid network name"},
		"bad name":          {network.CreateRequest{Name: "../x"}, errdefs.IsInvalidArgument, "invalid network name"},
		"predefined":        {network.CreateRequest{Name: "bridge"}, errdefs.IsPermissionDenied, "operation is not permitted on predefined bridge network"},
		"host driver":       {network.CreateRequest{Name: "x", Driver: "host"}, errdefs.IsPermissionDenied, `only one instance of "host" network is allowed`},
		"overlay":           {network.CreateRequest{Name: "x", Driver: "overlay"}, errdefs.IsNotImplemented, `driver "overlay"`},
		"swarm":             {network.CreateRequest{Name: "x", Scope: "swarm"}, errdefs.IsNotImplemented, `scope "swarm"`},
		"config only":       {network.CreateRequest{Name: "x", ConfigOnly: true}, errdefs.IsNotImplemented, "config-only"},
		"no IPv4":           {network.CreateRequest{Name: "x", EnableIPv4: &no}, errdefs.IsNotImplemented, "without IPv4"},
		"its subnet":        {request("x", withSubnet("10.5.0.128/25")), errdefs.IsPermissionDenied, "Pool overlaps with other one on this address space"},
		"the host's":        {request("x", withSubnet("10.6.0.0/16")), errdefs.IsPermissionDenied, "Pool overlaps with other one on this address space"},
		"its bridge":        {request("x", withOptionTo("br-taken")), errdefs.IsPermissionDenied, "networks have same bridge name"},
		"the host's device": {request("x", withOptionTo("lan0")), errdefs.IsPermissionDenied, "the device lan0 exists"},
		"bad bridge":        {request("x", withOptionTo("a/b")), errdefs.IsInvalidArgument, `invalid bridge name "a/b"`},
		"bad MTU":           {request("x", withOption(optionMTU, "9")), errdefs.IsInvalidArgument, optionMTU},
		"bad switch":        {request("x", withOption(optionICC, "maybe")), errdefs.IsInvalidArgument, `"maybe" is neither true nor false`},
		"unknown mode":      {request("x", withOption("com.docker.network.bridge.gateway_mode_ipv4", "routed")), errdefs.IsNotImplemented, "routed"},
		"inhibit":           {request("x", withOption("com.docker.network.bridge.inhibit_ipv4", "true")), errdefs.IsNotImplemented, "inhibit_ipv4"},
	} {
		t.Run(name, func(t *testing.T) {
			before := devices(t)
			_, err := h.Create(t.Context(), tc.request)
			require.ErrorContains(t, err, tc.says)
			assert.True(t, tc.is(err), "%v", err)
			assert.Equal(t, before, devices(t))
		})
	}
	list, err := h.List(t.Context(), nil)
	require.NoError(t, err)
	assert.Len(t, list, 4, "nothing is left of those that were refused")
}

func request(name string, change func(*network.CreateRequest)) network.CreateRequest {
	r := network.CreateRequest{Name: name}
	change(&r)
	return r
}

func withOptionTo(bridge string) func(*network.CreateRequest) {
	return func(r *network.CreateRequest) {
		if r.Options == nil {
			r.Options = map[string]string{}
		}
		r.Options[optionBridge] = bridge
	}
}

func TestListFilters(t *testing.T) {
	h := newHouse(t)
	h.create("front", func(r *network.CreateRequest) { r.Labels = map[string]string{"team": "a"} })
	back := h.create("back")
	h.run("web", "back")
	for text, want := range map[string][]string{
		`{}`:                              {"back", "front", "bridge", "host", "none"},
		`{"type":["custom"]}`:             {"back", "front"},
		`{"type":["builtin"]}`:            {"bridge", "host", "none"},
		`{"driver":["null"]}`:             {"none"},
		`{"name":["fro"]}`:                {"front"},
		`{"label":["team=a"]}`:            {"front"},
		`{"dangling":["true"]}`:           {"front"},
		`{"scope":["swarm"]}`:             {},
		`{"id":["` + back.ID[:20] + `"]}`: {"back"},
	} {
		args, err := filters.Parse(text)
		require.NoError(t, err)
		list, err := h.List(t.Context(), args)
		require.NoError(t, err)
		var got []string
		for _, n := range list {
			got = append(got, n.Name)
		}
		assert.ElementsMatch(t, want, got, text)
	}
	for _, text := range []string{`{"type":["odd"]}`, `{"color":["red"]}`, `{"dangling":["maybe"]}`} {
		args, err := filters.Parse(text)
		require.NoError(t, err)
		_, err = h.List(t.Context(), args)
		assert.True(t, errdefs.IsInvalidArgument(err), text)
	}
}

func TestRemoveRefusesPredefinedNetworksAndThoseInUse(t *testing.T) {
	h := newHouse(t)
	for _, name := range []string{"bridge", "host", "none"} {
		err := h.Remove(t.Context(), name)
		assert.EqualError(t, err, name+" is a pre-defined network and cannot be removed")
		assert.True(t, errdefs.IsPermissionDenied(err))
	}
	n := h.create("mynet")
	id := h.run("web", "mynet")
	err := h.Remove(t.Context(), "mynet")
	assert.True(t, errdefs.IsPermissionDenied(err))
	assert.ErrorContains(t, err, "error while removing network: network mynet id "+n.ID+" has active endpoints (name:\"web\"")
	assert.True(t, h.InUse(n.ID))
	require.NoError(t, h.Close(t.Context(), id))
	assert.NoError(t, h.Remove(t.Context(), n.ID[:8]))
	assert.True(t, errdefs.IsNotFound(h.Remove(t.Context(), "mynet")))
}

func TestPrune(t *testing.T) {
	h := newHouse(t)
	h.create("old", func(r *network.CreateRequest) { r.Labels = map[string]string{"keep": "no"} })
	h.create("used")
	h.create("kept", func(r *network.CreateRequest) { r.Labels = map[string]string{"keep": "yes"} })
	h.run("web", "used")
	prune := func(args filters.Args) []string {
		report, err := h.Prune(t.Context(), args)
		require.NoError(t, err)
		return report.NetworksDeleted
	}
	assert.Empty(t, prune(filters.Args{"until": {time.Hour.String(): true}}))
	assert.Equal(t, []string{"old"}, prune(filters.Args{"label!": {"keep=yes": true}}))
	assert.Equal(t, []string{"kept"}, prune(nil))
	assert.Equal(t, []string{}, prune(nil))
}

func TestNetworksOutliveTheDaemon(t *testing.T) {
	h := newHouse(t)
	before := h.create("mynet", withSubnet("10.5.0.0/24"), withOptionTo("br-mine"))
	h.end()
	assert.Equal(t, []string{"lo"}, devices(t), "devices that serve nobody go")
	h.begin()
	assert.Equal(t, before, h.inspect("mynet"))
	assert.Contains(t, devices(t), "br-mine")
}

func TestIPv6(t *testing.T) {
	h := newHouse(t)
	yes := true
	for _, name := range []string{"given", "chosen"} {
		h.create(name, func(r *network.CreateRequest) {
			r.EnableIPv6 = &yes
			if name == "given" {
				r.IPAM = &network.IPAM{Config: []network.IPAMConfig{{Subnet: netip.MustParsePrefix("fd05::/64")}}}
			}
		})
	}
	id := h.run("web", "given")
	ep := h.on(id, "given")
	assert.Equal(t, "fd05::2", ep.GlobalIPv6Address.String())
	assert.Equal(t, 64, ep.GlobalIPv6PrefixLen)
	assert.Equal(t, "fd05::1", ep.IPv6Gateway.String())
	assert.True(t, ep.IPAddress.Is4())
	h.inside(id, func() {
		routes, err := netlink.RouteListFiltered(netlink.FAMILY_V6, &netlink.Route{Gw: net.ParseIP("fd05::1")}, netlink.RT_FILTER_GW)
		require.NoError(t, err)
		assert.Len(t, routes, 1, "the default route")
	})
	assert.Len(t, h.inspect("chosen").IPAM.Config, 2)
}
