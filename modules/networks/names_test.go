package networks

import (
	"net/netip"
	"testing"

	"github.com/moby/moby/api/types/network"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pouchfx/pouchfx/modules/networks/firewall"
	"github.com/pouchfx/pouchfx/modules/networks/nameserver"
	"github.com/pouchfx/pouchfx/networktypes"
)

func withAliases(aliases ...string) func(*networktypes.Endpoint) {
	return func(ep *networktypes.Endpoint) { ep.EndpointConfig.Aliases = aliases }
}

// lookup asks as a container's name server does.
func (h *house) lookup(id, name string) ([]netip.Addr, bool) {
	h.t.Helper()
	sb, err := h.opened(id)
	require.NoError(h.t, err)
	return (&resolver{s: h.Service, sb: sb}).Lookup(name)
}

func TestContainersFindEachOtherByTheirNames(t *testing.T) {
	h := newHouse(t)
	h.create("front")
	h.create("Back")
	web := h.open("web", func(sb *Sandbox) { sb.Hostname = "WebHost" })
	require.NoError(t, h.Connect(t.Context(), web, endpointOn("front", withAliases("www", "shared")), endpointOn("Back", withAliases("backend"))))
	other := h.open("other")
	require.NoError(t, h.Connect(t.Context(), other, endpointOn("front", withAliases("shared"))))
	alone := h.run("alone", "bridge")

	front, back, others := h.on(web, "front").IPAddress, h.on(web, "Back").IPAddress, h.on(other, "front").IPAddress
	for name, want := range map[string][]netip.Addr{
		"web": {front}, "www": {front}, "webhost": {front}, web[:12]: {front}, "web.front": {front},
		"shared": {front, others}, "shared.front": {front, others},
		"web.back": nil, "backend": nil, "alone": nil, "example.com": nil, "": nil,
	} {
		addrs, ours := h.lookup(other, name)
		assert.ElementsMatch(t, want, addrs, name)
		assert.Equal(t, want != nil, ours, name)
	}
	addrs, _ := h.lookup(web, "web")
	assert.ElementsMatch(t, []netip.Addr{front, back}, addrs)
	addrs, _ = h.lookup(web, "web.back")
	assert.Equal(t, []netip.Addr{back}, addrs)
	_, ours := h.lookup(alone, "alone")
	assert.False(t, ours, "the default network has no names")

	sb, err := h.opened(other)
	require.NoError(t, err)
	r := &resolver{s: h.Service, sb: sb}
	name, ours := r.Reverse(front)
	assert.Equal(t, "web.front", name)
	assert.True(t, ours)
	_, ours = r.Reverse(back)
	assert.False(t, ours, "on a network of others")

	h.Rename(web, "renamed")
	addrs, ours = h.lookup(other, "renamed")
	assert.Equal(t, []netip.Addr{front}, addrs)
	assert.True(t, ours)
	_, ours = h.lookup(other, "web")
	assert.False(t, ours)
	require.NoError(t, h.Close(t.Context(), web))
	_, ours = h.lookup(other, "renamed")
	assert.False(t, ours)
}

func TestLinksAreSeenByTheirContainerAlone(t *testing.T) {
	h := newHouse(t)
	h.create("mynet")
	db := h.run("db", "mynet")
	web := h.open("web")
	require.NoError(t, h.Connect(t.Context(), web, endpointOn("mynet", func(ep *networktypes.Endpoint) {
		ep.EndpointConfig.Links = []string{"db:database", db + ":byid", "db"}
	})))
	addr := h.on(db, "mynet").IPAddress
	for _, name := range []string{"database", "byid", "db"} {
		addrs, ours := h.lookup(web, name)
		assert.Equal(t, []netip.Addr{addr}, addrs, name)
		assert.True(t, ours)
	}
	_, ours := h.lookup(db, "database")
	assert.False(t, ours)
}

func TestTheNameServerIsWhereNamesAre(t *testing.T) {
	h := newHouse(t)
	h.create("mynet")
	for _, tc := range []struct {
		name     string
		networks []*networktypes.Endpoint
		want     bool
	}{
		{"defaults", []*networktypes.Endpoint{endpointOn("bridge")}, onlyLoopback(hostServers())},
		{"own", []*networktypes.Endpoint{endpointOn("mynet")}, true},
		{"both", []*networktypes.Endpoint{endpointOn("bridge"), endpointOn("mynet")}, true},
		{"without", []*networktypes.Endpoint{endpointOn("mynet", func(ep *networktypes.Endpoint) { ep.DisableResolver = true })}, false},
		{"none", []*networktypes.Endpoint{endpointOn("none")}, false},
	} {
		id := h.open(tc.name)
		require.NoError(t, h.Connect(t.Context(), id, tc.networks...))
		sb, err := h.opened(id)
		require.NoError(t, err)
		assert.Equal(t, tc.want, sb.server != nil, tc.name)
		assert.Equal(t, tc.want, len(h.Names(id).Servers) == 1 && h.Names(id).Servers[0] == firewall.ResolverAddress, tc.name)
	}
}

func TestNamesAreThoseOfTheContainerOrOfTheHost(t *testing.T) {
	h := newHouse(t)
	h.create("mynet", withSubnet("10.5.0.0/24"))
	server := netip.MustParseAddr("192.0.2.53")
	id := h.open("web", func(sb *Sandbox) {
		sb.DNS, sb.DNSSearch, sb.DNSOptions = []netip.Addr{server}, []string{"example.com"}, []string{"timeout:1"}
	})
	names := h.Names(id)
	assert.Equal(t, []netip.Addr{server}, names.Servers, "not connected yet")
	assert.Equal(t, []string{"example.com"}, names.Search)
	require.NoError(t, h.Connect(t.Context(), id, endpointOn("mynet")))
	names = h.Names(id)
	assert.Equal(t, []netip.Addr{firewall.ResolverAddress}, names.Servers)
	assert.Equal(t, []string{"timeout:1", "ndots:0"}, names.Options)
	assert.Equal(t, []netip.Addr{h.on(id, "mynet").IPAddress}, names.Addresses)
	assert.Equal(t, "10.5.0.1", names.Gateway.String())
	sb, err := h.opened(id)
	require.NoError(t, err)
	r := &resolver{s: h.Service, sb: sb}
	assert.Equal(t, []netip.AddrPort{netip.AddrPortFrom(server, 53)}, r.Upstreams())

	// A hook's servers come before the container's.
	hooked := netip.MustParseAddr("192.0.2.54")
	other := h.open("other", func(sb *Sandbox) { sb.DNS = []netip.Addr{server} })
	require.NoError(t, h.Connect(t.Context(), other, endpointOn("bridge", func(ep *networktypes.Endpoint) {
		ep.DNS, ep.DNSSearch = []netip.Addr{hooked}, []string{"hooked.example"}
	})))
	assert.Equal(t, []netip.Addr{hooked}, h.Names(other).Servers)
	assert.Equal(t, []string{"hooked.example"}, h.Names(other).Search)

	servers, search, _, err := nameserver.HostUpstreams()
	require.NoError(t, err)
	plain := h.Names(h.run("plain", "bridge"))
	assert.Equal(t, search, plain.Search)
	if len(servers) > 0 && !servers[0].Addr().IsLoopback() {
		assert.Equal(t, servers[0].Addr(), plain.Servers[0])
	}
	assert.NotEmpty(t, h.Names("unknown").Servers)
}

func TestInternalNetworksAskNobodyElse(t *testing.T) {
	h := newHouse(t)
	h.create("inner", func(r *network.CreateRequest) { r.Internal = true })
	id := h.open("web", func(sb *Sandbox) { sb.DNS = []netip.Addr{netip.MustParseAddr("192.0.2.53")} })
	h.connect(id, "inner")
	sb, err := h.opened(id)
	require.NoError(t, err)
	r := &resolver{s: h.Service, sb: sb}
	assert.Empty(t, r.Upstreams())
	_, ours := r.Lookup("web")
	assert.True(t, ours)
	h.connect(id, "bridge")
	assert.NotEmpty(t, r.Upstreams())
}
