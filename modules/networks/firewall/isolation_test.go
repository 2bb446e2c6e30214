package firewall

import (
	"net/netip"
	"testing"

	"github.com/stretchr/testify/require"
)

// Bridged packets pass nftables or not, as the host has it: what is published
// and kept apart must not depend on it.
func withAndWithoutBridgeNetfilter(t *testing.T, f func(t *testing.T, called bool)) {
	for name, value := range map[string]string{"bridges call netfilter": "1", "bridges do not": "0"} {
		t.Run(name, func(t *testing.T) {
			if bridgesCallNetfilter(t, value) {
				f(t, value == "1")
			}
		})
	}
}

func TestContainersOfOneNetworkTalkAndOthersDoNot(t *testing.T) {
	withAndWithoutBridgeNetfilter(t, func(t *testing.T, _ bool) {
		h := newHost(t)
		a, b := h.network(1), h.network(2)
		web, neighbour, stranger := h.container(a), h.container(a), h.container(b)
		newTable(t, a, b)
		serve(t, web.Namespace, "", 80)
		serve(t, h.outside, "", 90)
		serve(t, nil, "", 91)

		reaches(t, neighbour.Namespace, web.ip.String(), 80, neighbour.ip.String())
		reaches(t, neighbour.Namespace, web.ip6.String(), 80, neighbour.ip6.String())
		reaches(t, nil, web.ip.String(), 80, "172.30.1.1")
		isKeptFrom(t, stranger.Namespace, web.ip.String(), 80)
		isKeptFrom(t, stranger.Namespace, web.ip6.String(), 80)
		isKeptFrom(t, h.outside, web.ip.String(), 80)
		isKeptFrom(t, h.outside, web.ip6.String(), 80)
		reaches(t, web.Namespace, outsideIP, 90, hostIP)
		reaches(t, web.Namespace, outsideIP6, 90, hostIP6)
		reaches(t, web.Namespace, "172.30.1.1", 91, web.ip.String())
	})
}

func TestPublishedPortsWithAndWithoutBridgeNetfilter(t *testing.T) {
	withAndWithoutBridgeNetfilter(t, func(t *testing.T, _ bool) {
		h := newHost(t)
		a := h.network(1)
		web, neighbour := h.container(a), h.container(a)
		table := newTable(t, a)
		serve(t, web.Namespace, "", 80)
		require.NoError(t, table.Publish(both(a, web.ip, "", 8080)))
		for _, address := range []string{hostIP, "172.30.1.1"} {
			reaches(t, neighbour.Namespace, address, 8080, "172.30.1.1")
			reaches(t, web.Namespace, address, 8080, "172.30.1.1")
		}
		reaches(t, h.outside, hostIP, 8080, outsideIP)
		reaches(t, nil, "127.0.0.1", 8080, "172.30.1.1")
		reaches(t, neighbour.Namespace, web.ip.String(), 80, neighbour.ip.String())
	})
}

func TestAnInternalNetworkIsForItsContainersAndTheHost(t *testing.T) {
	withAndWithoutBridgeNetfilter(t, func(t *testing.T, _ bool) {
		h := newHost(t)
		inner := h.network(1, func(n *Network) { n.Internal = true })
		open := h.network(2)
		db, app, web := h.container(inner), h.container(inner), h.container(open)
		table := newTable(t, inner, open)
		serve(t, db.Namespace, "", 80)
		serve(t, web.Namespace, "", 80)
		serve(t, h.outside, "", 90)
		require.NoError(t, table.Publish(both(open, web.ip, "", 8080)))

		reaches(t, app.Namespace, db.ip.String(), 80, app.ip.String())
		reaches(t, nil, db.ip.String(), 80, "172.30.1.1")
		isKeptFrom(t, app.Namespace, outsideIP, 90)
		isKeptFrom(t, app.Namespace, outsideIP6, 90)
		isKeptFrom(t, app.Namespace, "172.30.1.1", 8080) // published by another network
		isKeptFrom(t, app.Namespace, web.ip.String(), 80)
		isKeptFrom(t, web.Namespace, db.ip.String(), 80)
		isKeptFrom(t, h.outside, db.ip.String(), 80)
		reaches(t, web.Namespace, outsideIP, 90, hostIP)
	})
}

func TestWithoutICCOnlyPublishedPortsAreReached(t *testing.T) {
	withAndWithoutBridgeNetfilter(t, func(t *testing.T, called bool) {
		h := newHost(t)
		a := h.network(1, func(n *Network) { n.ICC = false })
		web, neighbour := h.container(a), h.container(a)
		table := newTable(t, a)
		serve(t, web.Namespace, "", 80)
		serve(t, web.Namespace, "", 81)
		serve(t, h.outside, "", 90)
		require.NoError(t, table.Publish(both(a, web.ip, "", 8080)))

		isKeptFrom(t, neighbour.Namespace, web.ip.String(), 81)
		isKeptFrom(t, neighbour.Namespace, web.ip6.String(), 81)
		reaches(t, h.outside, hostIP, 8080, outsideIP)
		reaches(t, web.Namespace, outsideIP, 90, hostIP)
		reaches(t, nil, web.ip.String(), 80, "172.30.1.1")
		if called { // it goes from one isolated port to another, see Network
			isKeptFrom(t, neighbour.Namespace, "172.30.1.1", 8080)
		} else {
			reaches(t, neighbour.Namespace, "172.30.1.1", 8080, "172.30.1.1")
		}
	})
}

func TestWithoutMasqueradingTheContainersAddressIsSeen(t *testing.T) {
	h := newHost(t)
	a := h.network(1, func(n *Network) { n.Masquerade = false })
	web := h.container(a)
	table := newTable(t, a)
	serve(t, h.outside, "", 90)
	serve(t, web.Namespace, "", 80)
	reaches(t, web.Namespace, outsideIP, 90, web.ip.String())
	require.NoError(t, table.Publish(both(a, web.ip, "", 8080)))
	reaches(t, web.Namespace, hostIP, 8080, "172.30.1.1")
	reaches(t, nil, "127.0.0.1", 8080, "172.30.1.1")
}

func TestANetworkComesChangesAndGoes(t *testing.T) {
	h := newHost(t)
	a, b := h.network(1), h.network(2)
	web, other := h.container(a), h.container(b)
	table := newTable(t, a)
	serve(t, h.outside, "", 90)
	serve(t, web.Namespace, "", 80)
	require.NoError(t, table.Publish(both(a, web.ip, "", 8080)))
	reaches(t, other.Namespace, outsideIP, 90, other.ip.String())

	require.NoError(t, table.AddNetwork(b.Network))
	reaches(t, other.Namespace, outsideIP, 90, hostIP)

	internal := b.Network
	internal.Internal = true
	require.NoError(t, table.AddNetwork(internal))
	isKeptFrom(t, other.Namespace, outsideIP, 90)
	reaches(t, h.outside, hostIP, 8080, outsideIP)

	require.NoError(t, table.RemoveNetwork(b.Bridge))
	require.NoError(t, table.RemoveNetwork(b.Bridge), "again")
	reaches(t, h.outside, hostIP, 8080, outsideIP)
	reaches(t, web.Namespace, outsideIP, 90, hostIP)
	require.Equal(t, map[string]Network{a.Bridge: a.Network}, table.networks)
}

func TestSubnetsMayBeWrittenWithAHostPart(t *testing.T) {
	h := newHost(t)
	a := h.network(1, func(n *Network) { n.Subnets = n.Subnets[:1] })
	web := h.container(a)
	serve(t, h.outside, "", 90)
	n := a.Network
	n.Subnets = []netip.Prefix{netip.MustParsePrefix("172.30.1.77/24")}
	table := newTable(t)
	require.NoError(t, table.AddNetwork(n))
	reaches(t, web.Namespace, outsideIP, 90, hostIP)
}
