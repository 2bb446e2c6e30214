package networks

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/pouchfx/pouchfx/modules/networks/firewall"
)

// A bridge carries an alias that says whose it is: our name, the daemon's
// identity, the network's id and name.

// maxAlias is how long the kernel lets an alias be.
const maxAlias = 255

func (s *Service) alias(e *entry) string {
	text := s.aliasPrefix() + e.ID + " " + e.Name
	return text[:min(len(text), maxAlias)]
}

func (s *Service) aliasPrefix() string { return "pouchfx " + s.identity + " " }

// networkOf is the id of the network that a bridge of this daemon is for.
func (s *Service) networkOf(link netlink.Link) (id string, ours bool) {
	rest, ours := strings.CutPrefix(link.Attrs().Alias, s.aliasPrefix())
	id, _, _ = strings.Cut(rest, " ")
	return id, ours && link.Type() == "bridge"
}

// ensureBridge makes a network's device and its rules, or finds them made.
func (s *Service) ensureBridge(ctx context.Context, e *entry) error {
	if e.Driver != driverBridge {
		return nil
	}
	e.device.Lock()
	defer e.device.Unlock()
	if err := s.ensureDevice(ctx, e); err != nil {
		return err
	}
	return s.rules.allow(e.firewall())
}

// ensureDevice makes a network's device, or finds it made. A network without
// containers whose subnet somebody else took meanwhile gets another one, unless
// a client chose it. The caller holds the device's lock.
func (s *Service) ensureDevice(ctx context.Context, e *entry) error {
	link, err := s.findBridge(e)
	if err != nil {
		return err
	}
	if link == nil {
		e.ready = false
		release, err := s.claim(ctx)
		if err != nil {
			return err
		}
		err = s.makeBridge(e)
		release()
		if err != nil {
			return err
		}
		if err := s.replug(e); err != nil {
			return err
		}
		s.rules.expire(e.bridge())
	} else if !e.ready {
		if err := s.configureBridge(link, e); err != nil {
			return err
		}
	}
	if !e.ready {
		if err := s.reserveAddresses(e); err != nil {
			return err
		}
	}
	e.ready = true
	return nil
}

// firewall is what the firewall must know of a network.
func (e *entry) firewall() firewall.Network {
	return firewall.Network{Bridge: e.bridge(), Subnets: e.prefixes(), Internal: e.Internal, Masquerade: e.options.masquerade, ICC: e.options.icc}
}

// findBridge returns the network's device, nil when it has none.
func (s *Service) findBridge(e *entry) (netlink.Link, error) {
	link, err := netlink.LinkByName(e.bridge())
	if errors.As(err, new(netlink.LinkNotFoundError)) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("look for device %s: %w", e.bridge(), err)
	}
	if id, ours := s.networkOf(link); !ours || id != e.ID {
		return nil, forbidden("the device %s exists and is not this network's: remove it, or choose another name with -o %s", e.bridge(), optionBridge)
	}
	return link, nil
}

// makeBridge makes a network's device. The caller has a claim.
func (s *Service) makeBridge(e *entry) (err error) {
	if err := s.settleSubnets(e); err != nil {
		return err
	}
	attrs := netlink.NewLinkAttrs()
	attrs.Name, attrs.MTU, attrs.HardwareAddr = e.bridge(), e.options.mtu, randomMAC()
	if err := netlink.LinkAdd(&netlink.Bridge{LinkAttrs: attrs}); err != nil {
		return fmt.Errorf("make device %s of network %s: %w", e.bridge(), e.Name, err)
	}
	link, err := netlink.LinkByName(e.bridge())
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, netlink.LinkDel(link))
		}
	}()
	if err := netlink.LinkSetAlias(link, s.alias(e)); err != nil {
		return fmt.Errorf("name device %s: %w", e.bridge(), err)
	}
	return s.configureBridge(link, e)
}

// replug makes the interfaces of the network's containers part of its device:
// somebody removed the one before, they are still there.
func (s *Service) replug(e *entry) error {
	bridge, err := netlink.LinkByName(e.bridge())
	if err != nil {
		return err
	}
	for _, name := range s.hostInterfaces(e.ID) {
		link, err := netlink.LinkByName(name)
		if errors.As(err, new(netlink.LinkNotFoundError)) {
			continue
		}
		if err != nil {
			return err
		}
		err = errors.Join(netlink.LinkSetMaster(link, bridge), netlink.LinkSetHairpin(link, true), netlink.LinkSetIsolated(link, !e.options.icc))
		if err != nil {
			return fmt.Errorf("plug %s into device %s: %w", name, e.bridge(), err)
		}
	}
	return nil
}

// hostInterfaces are the host's ends of the interfaces of a network's
// containers.
func (s *Service) hostInterfaces(networkID string) []string {
	s.mu.RLock()
	defer s.mu.RUnlock()
	var names []string
	for _, sb := range s.sandboxes {
		if ep := sb.on(networkID); ep != nil && ep.Host != "" {
			names = append(names, ep.Host)
		}
	}
	return names
}

// configureBridge gives a device its addresses and has the kernel forward.
// What is so already stays as it is.
func (s *Service) configureBridge(link netlink.Link, e *entry) error {
	name := link.Attrs().Name
	have, err := netlink.AddrList(link, netlink.FAMILY_ALL)
	if err != nil {
		return err
	}
	there := map[netip.Prefix]bool{}
	for _, a := range have {
		addr, _ := netip.AddrFromSlice(a.IP)
		bits, _ := a.Mask.Size()
		there[netip.PrefixFrom(addr.Unmap(), bits)] = true
	}
	v6 := e.subnet(true) != nil
	if err := s.forward(name, v6); err != nil {
		return err
	}
	for _, sub := range e.Subnets {
		p := netip.PrefixFrom(sub.Gateway, sub.Prefix.Bits())
		if there[p] {
			continue
		}
		addr := &netlink.Addr{IPNet: ipNet(p)}
		if v6 && sub.Gateway.Is6() {
			addr.Flags = unix.IFA_F_NODAD // nobody else is on the bridge
		}
		if err := netlink.AddrAdd(link, addr); err != nil {
			return fmt.Errorf("give device %s the address %s: %w", name, p, err)
		}
	}
	if err := netlink.LinkSetUp(link); err != nil {
		return fmt.Errorf("bring device %s up: %w", name, err)
	}
	return nil
}

// removeBridge removes a network's device and rules.
func (s *Service) removeBridge(e *entry) error {
	if e.Driver != driverBridge {
		return nil
	}
	e.device.Lock()
	defer e.device.Unlock()
	errs := []error{s.rules.forget(e.bridge())}
	if link, err := s.findBridge(e); err == nil && link != nil {
		errs = append(errs, netlink.LinkDel(link))
	}
	return errors.Join(errs...)
}

func randomMAC() net.HardwareAddr {
	var b [6]byte
	_, _ = rand.Read(b[:]) // never fails
	b[0] = b[0]&^1 | 2     // one address, given by ourselves
	return b[:]
}

func ipNet(p netip.Prefix) *net.IPNet {
	return &net.IPNet{IP: p.Addr().AsSlice(), Mask: net.CIDRMask(p.Bits(), p.Addr().BitLen())}
}
