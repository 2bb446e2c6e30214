package networks

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"

	"github.com/vishvananda/netlink"
	"go.uber.org/zap"
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

// forward has the kernel pass on packets from and to a bridge.
func (s *Service) forward(bridge string, v6 bool) error {
	if err := s.enable("net/ipv4/ip_forward"); err != nil {
		return err
	}
	if !v6 {
		// Nothing of the host is to be reached around IPv4's rules.
		return sysctl("net/ipv6/conf/"+bridge+"/disable_ipv6", "1")
	}
	return errors.Join(keepRouters(), sysctl("net/ipv6/conf/"+bridge+"/accept_ra", "0"), s.enable("net/ipv6/conf/all/forwarding"))
}

// keepRouters has interfaces go on listening to routers when the host becomes
// one itself: it would lose its default route.
func keepRouters() error {
	interfaces, err := filepath.Glob("/proc/sys/net/ipv6/conf/*/accept_ra")
	if err != nil {
		return err
	}
	for _, path := range interfaces {
		switch filepath.Base(filepath.Dir(path)) {
		case "all", "default": // are about interfaces to come, as those of containers
			continue
		}
		if now, err := os.ReadFile(path); err != nil || strings.TrimSpace(string(now)) != "1" {
			continue
		}
		if err := sysctl(strings.TrimPrefix(path, "/proc/sys/"), "2"); err != nil {
			return err
		}
	}
	return nil
}

// enable sets a switch of the whole host, and says so if it was off.
func (s *Service) enable(key string) error {
	if old, err := os.ReadFile("/proc/sys/" + key); err == nil && strings.TrimSpace(string(old)) == "1" {
		return nil
	}
	if err := sysctl(key, "1"); err != nil {
		return err
	}
	s.log.Info("switched on forwarding for containers: from now on this host passes on packets of others, too, where its firewall lets it",
		zap.String("sysctl", strings.ReplaceAll(key, "/", ".")))
	return nil
}

// sysctl writes a setting of the calling thread's network namespace. One that
// this kernel does not have needs no setting.
func sysctl(key, value string) error {
	err := os.WriteFile("/proc/sys/"+key, []byte(value), 0)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("set %s: %w", strings.ReplaceAll(key, "/", "."), err)
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
