package networks

import (
	"errors"
	"net"
	"net/netip"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// routeThrough makes an endpoint the one through which a sandbox reaches what
// it is not connected to, in place of the one before; nil is none. It leaves
// routes alone that are not through one of the sandbox's interfaces: the
// container may have made them.
func (sb *sandbox) routeThrough(gateway *endpoint) error {
	return inNamespace(sb.netns(), func() error {
		for _, ep := range sb.Endpoints {
			if ep == gateway || !ep.Plugged || ep.Interface == "" {
				continue
			}
			if err := setDefault(ep, netlink.RouteDel); err != nil {
				return err
			}
		}
		if gateway == nil {
			return nil
		}
		return setDefault(gateway, netlink.RouteReplace)
	})
}

// setDefault changes the default routes through an endpoint, in the calling
// thread's namespace.
func setDefault(ep *endpoint, change func(*netlink.Route) error) error {
	link, err := netlink.LinkByName(ep.Interface)
	if errors.As(err, new(netlink.LinkNotFoundError)) {
		return nil // the container removed it
	}
	if err != nil {
		return err
	}
	for _, gateway := range []netip.Addr{ep.Gateway4, ep.Gateway6} {
		if !gateway.IsValid() {
			continue
		}
		bits := gateway.BitLen()
		err := change(&netlink.Route{LinkIndex: link.Attrs().Index, Gw: gateway.AsSlice(),
			Dst: &net.IPNet{IP: make(net.IP, bits/8), Mask: net.CIDRMask(0, bits)}})
		if err != nil && !errors.Is(err, unix.ESRCH) {
			return err
		}
	}
	return nil
}
