package networks

import (
	"context"
	"net/netip"
	"os"
	"testing"
	"time"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/api/types/network"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/pouchfx/pouchfx/modules/filters"
)

// lan gives the tests' host a device with an address.
func lan(t testing.TB, name, address string) {
	t.Helper()
	link := &netlink.Bridge{LinkAttrs: netlink.LinkAttrs{Name: name}}
	require.NoError(t, netlink.LinkAdd(link))
	t.Cleanup(func() { assert.NoError(t, netlink.LinkDel(link)) })
	addr, err := netlink.ParseAddr(address)
	require.NoError(t, err)
	require.NoError(t, netlink.AddrAdd(link, addr))
	require.NoError(t, netlink.LinkSetUp(link))
}

func TestSubnetsKeepAwayFromTheHosts(t *testing.T) {
	h := newHouse(t)
	lan(t, "lan0", "172.18.3.4/24")
	assert.Equal(t, "172.19.0.0/16", h.create("mynet").IPAM.Config[0].Subnet.String())
}

func TestASubnetThatNobodyAskedForMovesWhenItIsTaken(t *testing.T) {
	h := newHouse(t)
	h.create("auto")
	h.create("given", withSubnet("10.5.0.0/24"))
	h.end()
	lan(t, "lan0", "172.18.3.4/24")
	lan(t, "lan1", "10.5.0.9/24")
	h.begin()
	assert.Equal(t, "172.19.0.0/16", h.inspect("auto").IPAM.Config[0].Subnet.String())
	id := h.open("web")
	require.NoError(t, h.Connect(t.Context(), id, endpointOn("auto")))
	err := h.Connect(t.Context(), id, endpointOn("given"))
	assert.ErrorContains(t, err, "Pool overlaps with other one on this address space")
	assert.NotContains(t, h.inspect("given").Containers, id)
}

func TestTwoDaemonsNeverTakeOneSubnet(t *testing.T) {
	a, b := newHouse(t), newHouse(t)
	const each = 6
	done := make(chan error, 2)
	for _, h := range []*house{a, b} {
		go func() {
			for i := range each {
				if _, err := h.Create(t.Context(), network.CreateRequest{Name: "n" + string(rune('a'+i))}); err != nil {
					done <- err
					return
				}
			}
			done <- nil
		}()
	}
	require.NoError(t, <-done)
	require.NoError(t, <-done)
	seen := map[netip.Prefix]bool{}
	for _, h := range []*house{a, b} {
		list, err := h.List(t.Context(), filters.Args{"driver": {"bridge": true}})
		require.NoError(t, err)
		require.Len(t, list, each+1)
		for _, n := range list {
			assert.False(t, seen[n.IPAM.Config[0].Subnet], "%s is there twice", n.IPAM.Config[0].Subnet)
			seen[n.IPAM.Config[0].Subnet] = true
		}
	}
	a.end() // its devices go, for both to find the host as it was
	b.end()
}

func TestWhoWaitsToChooseASubnetMayGiveUp(t *testing.T) {
	h := newHouse(t)
	other, err := os.Open("/proc/thread-self/ns/net")
	require.NoError(t, err)
	defer other.Close()
	require.NoError(t, unix.Flock(int(other.Fd()), unix.LOCK_EX))
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	_, err = h.Create(ctx, network.CreateRequest{Name: "mynet"})
	assert.ErrorIs(t, err, context.DeadlineExceeded)
	_, err = h.Find("mynet")
	assert.True(t, errdefs.IsNotFound(err))
	require.NoError(t, unix.Flock(int(other.Fd()), unix.LOCK_UN))
	h.create("mynet")
}
