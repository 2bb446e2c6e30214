package firewall

import (
	"net/netip"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// forgetFlows drops what the kernel remembers of UDP packets to these ports of
// the host. NAT is decided with a flow's first packet, and a client that sends
// on keeps its flow alive: it would go on reaching the host, or a container
// that has gone (moby issues 8795 and 53384).
//
// It is done as far as possible: where it is not, the port works, and an old
// flow ends when its client is quiet for two minutes.
func forgetFlows(ports map[address]Port) {
	var wanted [2]flows
	for a, p := range ports {
		if a.protocol == unix.IPPROTO_UDP {
			i := 0
			if a.v6 {
				i = 1
			}
			if wanted[i].ports == nil {
				wanted[i].ports = map[uint16][]flow{}
			}
			wanted[i].ports[a.port] = append(wanted[i].ports[a.port], flow{a.ip, p.Container.Unmap()})
		}
	}
	for i, family := range []netlink.InetFamily{unix.AF_INET, unix.AF_INET6} {
		if wanted[i].ports == nil {
			continue
		}
		if err := wanted[i].findHost(int(family)); err != nil {
			continue
		}
		_, _ = netlink.ConntrackDeleteFilters(netlink.ConntrackTable, family, &wanted[i])
	}
}

// flows choose among all UDP flows of a family those of published ports.
type flows struct {
	ports map[uint16][]flow
	host  map[netip.Addr]bool
}

// flow is where a published port is reached (the zero Addr: any address of the
// host) and where it leads.
type flow struct{ host, container netip.Addr }

// findHost lists the host's addresses: on the port of a published name server
// there are also flows that merely pass through.
func (f *flows) findHost(family int) error {
	addrs, err := netlink.AddrList(nil, family)
	if err != nil {
		return err
	}
	f.host = make(map[netip.Addr]bool, len(addrs))
	for _, a := range addrs {
		if ip, ok := netip.AddrFromSlice(a.IP); ok {
			f.host[ip.Unmap()] = true
		}
	}
	return nil
}

// MatchConntrackFlow implements [netlink.CustomConntrackFilter].
func (f *flows) MatchConntrackFlow(c *netlink.ConntrackFlow) bool {
	if c.Forward.Protocol != unix.IPPROTO_UDP {
		return false
	}
	to, _ := netip.AddrFromSlice(c.Forward.DstIP)
	answers, _ := netip.AddrFromSlice(c.Reverse.SrcIP)
	to, answers = to.Unmap(), answers.Unmap()
	for _, p := range f.ports[c.Forward.DstPort] {
		if p.host.IsValid() && p.host != to {
			continue
		}
		if answers == p.container || to.IsLoopback() || f.host[to] {
			return true
		}
	}
	return false
}
