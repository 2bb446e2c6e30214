package firewall

import (
	"net/netip"
	"syscall"
	"testing"

	"github.com/containerd/errdefs"
	"github.com/stretchr/testify/require"

	"github.com/pouchfx/pouchfx/modules/networks/netnstest"
)

func newTable(t testing.TB, networks ...*network) *Table {
	t.Helper()
	table := New("pouchfx-test")
	t.Cleanup(func() { require.NoError(t, table.Delete()) })
	require.NoError(t, table.Replace(nil, nil))
	for _, n := range networks {
		require.NoError(t, table.AddNetwork(n.Network))
	}
	return table
}

// both are a TCP and a UDP port of the host that lead to port 80.
func both(n *network, container netip.Addr, hostIP string, port uint16) []Port {
	var ports []Port
	for _, protocol := range []string{"tcp", "udp"} {
		p := Port{Protocol: protocol, HostPort: port, Container: container, ContainerPort: 80, Bridge: n.Bridge}
		if hostIP != "" {
			p.HostIP = netip.MustParseAddr(hostIP)
		}
		ports = append(ports, p)
	}
	return ports
}

func TestPublishedPortsAreReachedFromEverywhere(t *testing.T) {
	h := newHost(t)
	a, b := h.network(1), h.network(2)
	web, neighbour, stranger := h.container(a), h.container(a), h.container(b)
	table := newTable(t, a, b)
	serve(t, web.Namespace, "", 80)
	require.NoError(t, table.Publish(both(a, web.ip, "", 8080)))
	gatewayA, gatewayB := "172.30.1.1", "172.30.2.1"

	reaches(t, h.outside, hostIP, 8080, outsideIP)
	reaches(t, nil, hostIP, 8080, hostIP)
	reaches(t, nil, gatewayA, 8080, gatewayA)
	reaches(t, nil, "127.0.0.1", 8080, gatewayA)
	reaches(t, nil, "127.0.0.5", 8080, gatewayA)
	for _, address := range []string{hostIP, gatewayA, gatewayB} {
		reaches(t, neighbour.Namespace, address, 8080, gatewayA)
		reaches(t, web.Namespace, address, 8080, gatewayA)
		reaches(t, stranger.Namespace, address, 8080, gatewayA)
	}

	require.NoError(t, table.Unpublish(both(a, web.ip, "", 8080)))
	isKeptFrom(t, h.outside, hostIP, 8080)
	isKeptFrom(t, nil, "127.0.0.1", 8080)
	isKeptFrom(t, neighbour.Namespace, hostIP, 8080)
}

func TestIPv6PortsArePublishedToo(t *testing.T) {
	h := newHost(t)
	a, b := h.network(1), h.network(2)
	web, neighbour, stranger := h.container(a), h.container(a), h.container(b)
	table := newTable(t, a, b)
	serve(t, web.Namespace, "", 80)
	require.NoError(t, table.Publish(both(a, web.ip6, "", 8080)))
	require.NoError(t, table.Publish(both(a, web.ip6, hostIP6, 8081)))

	for _, port := range []uint16{8080, 8081} {
		reaches(t, h.outside, hostIP6, port, outsideIP6)
		reaches(t, nil, hostIP6, port, hostIP6)
		reaches(t, web.Namespace, hostIP6, port, "fd00:1::1")
		reaches(t, neighbour.Namespace, hostIP6, port, "fd00:1::1")
		reaches(t, stranger.Namespace, hostIP6, port, "fd00:1::1")
	}
	_, err := seen(nil, "tcp", "::1", 8080, patient)
	require.ErrorIs(t, err, syscall.ECONNREFUSED, "a client goes on to 127.0.0.1 at once")
	isKeptFrom(t, h.outside, web.ip6.String(), 80)
	isKeptFrom(t, stranger.Namespace, web.ip6.String(), 80)
	isKeptFrom(t, h.outside, hostIP, 8080)
}

func TestPortsOnOneAddressAreNotReachedByAnother(t *testing.T) {
	h := newHost(t)
	a := h.network(1)
	web, other := h.container(a), h.container(a)
	table := newTable(t, a)
	serve(t, web.Namespace, "", 80)
	serve(t, other.Namespace, "", 81)
	require.NoError(t, table.Publish(both(a, web.ip, "127.0.0.1", 8080)))
	require.NoError(t, table.Publish(both(a, web.ip, hostIP, 8081)))

	reaches(t, nil, "127.0.0.1", 8080, "172.30.1.1")
	isKeptFrom(t, nil, hostIP, 8080)
	isKeptFrom(t, h.outside, hostIP, 8080)
	isKeptFrom(t, other.Namespace, "172.30.1.1", 8080)
	reaches(t, h.outside, hostIP, 8081, outsideIP)
	isKeptFrom(t, nil, "127.0.0.1", 8081)

	t.Run("a port of one address goes before that of every address", func(t *testing.T) {
		every := both(a, other.ip, "0.0.0.0", 8081)
		every[0].ContainerPort, every[1].ContainerPort = 81, 81
		require.NoError(t, table.Publish(every))
		reaches(t, h.outside, hostIP, 8081, outsideIP)
		reaches(t, nil, "127.0.0.1", 8081, "172.30.1.1")
		require.NoError(t, table.Unpublish(both(a, web.ip, hostIP, 8081)))
		reaches(t, h.outside, hostIP, 8081, outsideIP)
	})
}

// Someone on the LAN may send a packet for 127.0.0.1, and a container may set
// up a route to it: moby issue 41872, kubernetes issue 90259.
func TestTheHostsLoopbackIsOutOfReach(t *testing.T) {
	h := newHost(t)
	a := h.network(1)
	web, evil := h.container(a), h.container(a)
	serve(t, web.Namespace, "", 80)
	serve(t, nil, "127.0.0.1", 9000)
	loopbackVia(t, evil.Namespace, "172.30.1.1")
	loopbackVia(t, h.outside, hostIP)
	require.NoError(t, allowLoopback(a.Bridge))
	sysctl(t, "net/ipv4/conf/lan0/route_localnet", "1") // as if the user had set it
	reaches(t, evil.Namespace, "127.0.0.1", 9000, evil.ip.String())
	reaches(t, h.outside, "127.0.0.1", 9000, outsideIP)

	table := newTable(t, a)
	require.NoError(t, table.Publish(both(a, web.ip, "127.0.0.1", 8080)))
	isKeptFrom(t, evil.Namespace, "127.0.0.1", 9000)
	for _, attacker := range []*netnstest.Namespace{evil.Namespace, h.outside} {
		isKeptFrom(t, attacker, "127.0.0.1", 8080)
	}
	reaches(t, nil, "127.0.0.1", 8080, "172.30.1.1")
}

func TestPublishIsRefused(t *testing.T) {
	h := newHost(t)
	a := h.network(1)
	web := h.container(a)
	table := newTable(t, a)
	good := both(a, web.ip, "", 8080)
	require.NoError(t, table.Publish(good))
	require.NoError(t, table.Publish(good), "again")
	port := func(change func(*Port)) []Port {
		p := good[0]
		p.HostPort = 8081
		change(&p)
		return []Port{p}
	}
	for _, c := range []struct {
		name  string
		ports []Port
		class error
		text  string
	}{
		{"another container's port", port(func(p *Port) { p.HostPort, p.ContainerPort = 8080, 81 }), errdefs.ErrConflict,
			"0.0.0.0:8080->172.30.1.2:80/tcp is published already"},
		{"an unknown protocol", port(func(p *Port) { p.Protocol = "icmp" }), errdefs.ErrInvalidArgument, "tcp, udp or sctp"},
		{"no host port", port(func(p *Port) { p.HostPort = 0 }), errdefs.ErrInvalidArgument, "missing"},
		{"no container address", port(func(p *Port) { p.Container = netip.Addr{} }), errdefs.ErrInvalidArgument, "missing"},
		{"addresses of two families", port(func(p *Port) { p.HostIP = netip.MustParseAddr(hostIP6) }), errdefs.ErrInvalidArgument, "families"},
		{"::1", port(func(p *Port) { p.HostIP, p.Container = netip.IPv6Loopback(), web.ip6 }), errdefs.ErrInvalidArgument, "127.0.0.1"},
		{"a path for a bridge", port(func(p *Port) { p.Bridge = "../all" }), errdefs.ErrInvalidArgument, "not the name"},
		{"a bridge that is not there", port(func(p *Port) { p.Bridge = "px-none" }), syscall.ENOENT, "px-none"},
	} {
		t.Run(c.name, func(t *testing.T) {
			// With a good one: it must not be published either.
			extra := good[0]
			extra.HostPort = 8099
			err := table.Publish(append([]Port{extra}, c.ports...))
			require.ErrorIs(t, err, c.class)
			require.ErrorContains(t, err, c.text)
			require.Len(t, table.ports, 2)
		})
	}
	require.ErrorIs(t, table.AddNetwork(Network{Bridge: "a/b"}), errdefs.ErrInvalidArgument)
	require.ErrorIs(t, table.AddNetwork(Network{Bridge: "px-1", Subnets: make([]netip.Prefix, 1)}), errdefs.ErrInvalidArgument)

	t.Run("one port number serves each protocol", func(t *testing.T) {
		sctp := port(func(p *Port) { p.Protocol, p.HostPort = "sctp", 8080 })
		require.NoError(t, table.Publish(sctp))
		require.Equal(t, 3, held(t, table)["anyports4"])
		require.NoError(t, table.Unpublish(sctp))
		require.Equal(t, 2, held(t, table)["anyports4"])
	})
	t.Run("another's port is not withdrawn", func(t *testing.T) {
		theirs := good[0]
		theirs.ContainerPort = 81
		require.NoError(t, table.Unpublish([]Port{theirs, {Protocol: "none"}}))
		require.Len(t, table.ports, 2)
	})
}
