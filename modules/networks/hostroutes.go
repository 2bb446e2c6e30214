package networks

import (
	"net"
	"net/netip"

	"github.com/vishvananda/netlink"
)

// hostRoutes are the networks that the host reaches. Default routes are none.
type hostRoutes struct {
	connected []netip.Prefix // by a device of its own
	remote    []netip.Prefix // through a gateway
}

// readHostRoutes looks at the routes and addresses of every device but those
// that it is told to leave out, by index.
func readHostRoutes(except ...int) (hostRoutes, error) {
	var found hostRoutes
	skip := map[int]bool{}
	for _, index := range except {
		skip[index] = true
	}
	routes, err := netlink.RouteList(nil, netlink.FAMILY_ALL)
	if err != nil {
		return found, err
	}
	for _, r := range routes {
		p, ok := prefixFrom(r.Dst)
		if !ok || p.Bits() == 0 || skip[r.LinkIndex] {
			continue
		}
		if r.Gw == nil && len(r.MultiPath) == 0 {
			found.connected = append(found.connected, p)
		} else {
			found.remote = append(found.remote, p)
		}
	}
	// Devices that are down have addresses, but no routes.
	addrs, err := netlink.AddrList(nil, netlink.FAMILY_ALL)
	if err != nil {
		return found, err
	}
	for _, a := range addrs {
		if p, ok := prefixFrom(a.IPNet); ok && !skip[a.LinkIndex] && !p.Addr().IsLoopback() {
			found.connected = append(found.connected, p)
		}
	}
	return found, nil
}

// all are those that a network which nobody gave a subnet keeps away from.
func (h hostRoutes) all() []netip.Prefix {
	return append(append([]netip.Prefix(nil), h.connected...), h.remote...)
}

// conflicts reports whether a subnet that somebody asked for would take away
// from the host what it reaches now. A part of a bigger network behind a
// gateway may be used: who asks for it knows that it is free.
func (h hostRoutes) conflicts(p netip.Prefix) bool {
	if overlaps(p, h.connected) {
		return true
	}
	for _, r := range h.remote {
		if p.Bits() <= r.Bits() && p.Overlaps(r) {
			return true
		}
	}
	return false
}

func prefixFrom(n *net.IPNet) (netip.Prefix, bool) {
	if n == nil {
		return netip.Prefix{}, false
	}
	addr, ok := netip.AddrFromSlice(n.IP)
	bits, _ := n.Mask.Size()
	if !ok {
		return netip.Prefix{}, false
	}
	return netip.PrefixFrom(addr.Unmap(), bits).Masked(), true
}
