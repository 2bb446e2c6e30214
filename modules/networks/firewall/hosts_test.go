package firewall

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/pouchfx/pouchfx/modules/networks/netnstest"
)

func TestMain(m *testing.M) { netnstest.Main(m) }

// The tests' host is this process's namespace. It has a LAN with another host
// on it, which knows the way to every container.
const (
	hostIP, hostIP6 = "192.0.2.1", "2001:db8::1"
	outsideIP       = "192.0.2.2"
	outsideIP6      = "2001:db8::2"
	quick           = 150 * time.Millisecond // for what must not arrive
	patient         = 5 * time.Second        // for what must
)

// network is a bridge of the host with containers.
type network struct {
	Network
	bridge     netlink.Link
	containers int
}

// host is a fresh host for one test.
type host struct {
	t       testing.TB
	outside *netnstest.Namespace
}

func newHost(t testing.TB) *host {
	h := &host{t: t, outside: netnstest.New(t)}
	sysctl(t, "net/ipv4/ip_forward", "1")
	sysctl(t, "net/ipv6/conf/all/forwarding", "1")
	h.cable("lan0", nil, []string{hostIP + "/24", hostIP6 + "/64"}, h.outside, []string{outsideIP + "/24", outsideIP6 + "/64"}, hostIP, hostIP6)
	return h
}

// network makes a bridge with the subnets 172.30.<n>.0/24 and fd00:<n>::/64.
func (h *host) network(n int, change ...func(*Network)) *network {
	h.t.Helper()
	w := &network{Network: Network{Bridge: fmt.Sprintf("px-%d", n), Masquerade: true, ICC: true, Subnets: []netip.Prefix{
		netip.MustParsePrefix(fmt.Sprintf("172.30.%d.0/24", n)), netip.MustParsePrefix(fmt.Sprintf("fd00:%d::/64", n))}}}
	for _, c := range change {
		c(&w.Network)
	}
	require.NoError(h.t, netlink.LinkAdd(&netlink.Bridge{LinkAttrs: netlink.LinkAttrs{Name: w.Bridge}}))
	var err error
	w.bridge, err = netlink.LinkByName(w.Bridge)
	require.NoError(h.t, err)
	h.t.Cleanup(func() { netlink.LinkDel(w.bridge) })
	for _, s := range w.Subnets {
		addAddress(h.t, w.bridge, netip.PrefixFrom(s.Addr().Next(), s.Bits()).String())
	}
	require.NoError(h.t, netlink.LinkSetUp(w.bridge))
	return w
}

// container is a namespace on a network.
type container struct {
	*netnstest.Namespace
	ip, ip6 netip.Addr
	veth    string
}

func (h *host) container(w *network) *container {
	h.t.Helper()
	w.containers++
	c := &container{Namespace: netnstest.New(h.t), veth: fmt.Sprintf("%s-%d", w.Bridge, w.containers)}
	var gateways, own []string
	for _, s := range w.Subnets {
		ip := s.Addr().Next()
		gateways = append(gateways, ip.String())
		for range w.containers {
			ip = ip.Next()
		}
		own = append(own, netip.PrefixFrom(ip, s.Bits()).String())
		if ip.Is4() {
			c.ip = ip
		} else {
			c.ip6 = ip
		}
	}
	h.cable(c.veth, w.bridge, nil, c.Namespace, own, gateways...)
	port, err := netlink.LinkByName(c.veth)
	require.NoError(h.t, err)
	// As networks are made: hairpinMode is for a container's own published
	// ports, where bridges call netfilter; portIsolation is for those without ICC.
	require.NoError(h.t, netlink.LinkSetHairpin(port, true))
	if !w.ICC {
		require.NoError(h.t, netlink.LinkSetIsolated(port, true))
	}
	return c
}

// cable joins the host, or a bridge of it, with a namespace.
func (h *host) cable(name string, bridge netlink.Link, addresses []string, to *netnstest.Namespace, there []string, gateways ...string) {
	h.t.Helper()
	attrs := netlink.LinkAttrs{Name: name}
	if bridge != nil {
		attrs.MasterIndex = bridge.Attrs().Index
	}
	require.NoError(h.t, netlink.LinkAdd(&netlink.Veth{LinkAttrs: attrs, PeerName: "eth0", PeerNamespace: netlink.NsFd(to.FD())}))
	near, err := netlink.LinkByName(name)
	require.NoError(h.t, err)
	h.t.Cleanup(func() { netlink.LinkDel(near) })
	for _, a := range addresses {
		addAddress(h.t, near, a)
	}
	require.NoError(h.t, netlink.LinkSetUp(near))
	require.NoError(h.t, to.Do(func() error {
		far, err := netlink.LinkByName("eth0")
		if err != nil {
			return err
		}
		for _, a := range there {
			addAddress(h.t, far, a)
		}
		if err := netlink.LinkSetUp(far); err != nil {
			return err
		}
		for _, g := range gateways {
			if err := netlink.RouteAdd(&netlink.Route{LinkIndex: far.Attrs().Index, Gw: net.ParseIP(g)}); err != nil {
				return err
			}
		}
		return nil
	}))
}

func addAddress(t testing.TB, link netlink.Link, address string) {
	t.Helper()
	a, err := netlink.ParseAddr(address)
	require.NoError(t, err)
	if a.IP.To4() == nil {
		a.Flags = unix.IFA_F_NODAD // else it is not usable for a second
	}
	require.NoError(t, netlink.AddrAdd(link, a), address)
}

// loopbackVia makes a namespace send what is for 127.0.0.1 to a gateway, as
// one does who wants to reach the loopback of another host. It gives its own
// 127.0.0.1 up: the kernel drops answers from an address that is its own.
func loopbackVia(t testing.TB, n *netnstest.Namespace, gateway string) {
	t.Helper()
	require.NoError(t, n.Do(func() error {
		sysctl(t, "net/ipv4/conf/all/route_localnet", "1")
		lo, err := netlink.LinkByName("lo")
		if err != nil {
			return err
		}
		eth0, err := netlink.LinkByName("eth0")
		if err != nil {
			return err
		}
		own, err := netlink.ParseAddr("127.0.0.1/8")
		if err != nil {
			return err
		}
		if err := netlink.AddrDel(lo, own); err != nil {
			return err
		}
		one := &net.IPNet{IP: own.IP, Mask: net.CIDRMask(32, 32)}
		return netlink.RouteAdd(&netlink.Route{LinkIndex: eth0.Attrs().Index, Dst: one, Gw: net.ParseIP(gateway)})
	}))
}

// bridgesCallNetfilter sets whether bridged packets pass nftables; on a kernel
// that cannot have them do so, it says that there is nothing to test.
func bridgesCallNetfilter(t testing.TB, value string) bool {
	for _, name := range []string{"iptables", "ip6tables"} {
		path := "/proc/sys/net/bridge/bridge-nf-call-" + name
		before, err := os.ReadFile(path)
		if err != nil {
			return value == "0"
		}
		require.NoError(t, os.WriteFile(path, []byte(value), 0))
		t.Cleanup(func() { os.WriteFile(path, before, 0) })
	}
	return true
}
