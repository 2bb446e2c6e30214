package firewall

import (
	"fmt"
	"net/netip"
	"strings"

	"github.com/containerd/errdefs"
	"golang.org/x/sys/unix"
)

// Network is a bridge and what may pass it.
type Network struct {
	// Bridge is the interface's name.
	Bridge string
	// Subnets are those of its containers.
	Subnets []netip.Prefix
	// Internal keeps its containers from everything but each other and the
	// host.
	Internal bool
	// Masquerade gives what its containers send elsewhere the host's address.
	Masquerade bool
	// ICC lets its containers talk to each other. Where it is off, the ports
	// of the bridge must be isolated too (the CNI plugin's portIsolation): two
	// containers on one bridge talk below IP, where nftables does not see them.
	// They reach each other's published ports all the same, unless the host has
	// bridges call netfilter (net.bridge.bridge-nf-call-iptables): the kernel
	// then handles such packets as bridged ones.
	ICC bool
}

// Port is one port of the host that leads to a container.
type Port struct {
	// Protocol is tcp, udp or sctp.
	Protocol string
	// HostIP is one address of the host. The unspecified address and the zero
	// Addr stand for every address of the container's family. An address in
	// 127.0.0.0/8 is reached from the host alone; ::1 cannot be published, as
	// the kernel does not route it.
	HostIP   netip.Addr
	HostPort uint16
	// Container is the container's address on the network of Bridge.
	Container     netip.Addr
	ContainerPort uint16
	Bridge        string
}

// address is what a published port is found by: the packet's destination.
type address struct {
	protocol byte
	// ip is the zero Addr for every address of a family.
	ip   netip.Addr
	port uint16
	v6   bool
}

var protocols = map[string]byte{"tcp": unix.IPPROTO_TCP, "udp": unix.IPPROTO_UDP, "sctp": unix.IPPROTO_SCTP}

// address checks the port and returns where it is reached.
func (p Port) address() (address, error) {
	container, host := p.Container.Unmap(), p.HostIP.Unmap()
	a := address{protocol: protocols[p.Protocol], port: p.HostPort, v6: container.Is6()}
	if host.IsValid() && !host.IsUnspecified() {
		a.ip = host.WithZone("")
	}
	switch {
	case a.protocol == 0:
		return a, invalid("cannot publish %s: the protocol must be tcp, udp or sctp", p)
	case !container.IsValid(), p.HostPort == 0, p.ContainerPort == 0:
		return a, invalid("cannot publish %s: an address or a port is missing", p)
	case host.IsValid() && host.Is6() != a.v6:
		return a, invalid("cannot publish %s: the host's address and the container's are of different families", p)
	case a.v6 && a.ip.IsLoopback():
		return a, invalid("cannot publish %s: the kernel does not forward from ::1; use 127.0.0.1", p)
	}
	return a, checkBridge(p.Bridge)
}

// fromLoopback says whether 127.0.0.1 leads to the port.
func (a address) fromLoopback() bool { return !a.v6 && (!a.ip.IsValid() || a.ip.IsLoopback()) }

// String is the port as docker ps shows it.
func (p Port) String() string {
	host := p.HostIP
	if !host.IsValid() {
		host = netip.IPv4Unspecified()
	}
	return fmt.Sprintf("%s->%s/%s", netip.AddrPortFrom(host, p.HostPort),
		netip.AddrPortFrom(p.Container, p.ContainerPort), p.Protocol)
}

// checkBridge accepts the names that the kernel does: the name becomes part of
// a path in /proc/sys.
func checkBridge(name string) error {
	if name == "" || len(name) >= unix.IFNAMSIZ || name == "." || name == ".." || strings.ContainsAny(name, "/: \t\n\x00") {
		return invalid("%q is not the name of an interface", name)
	}
	return nil
}

func (n Network) check() error {
	for _, s := range n.Subnets {
		if !s.IsValid() {
			return invalid("network %s has an invalid subnet", n.Bridge)
		}
	}
	return checkBridge(n.Bridge)
}

func invalid(format string, args ...any) error {
	return errdefs.ErrInvalidArgument.WithMessage(fmt.Sprintf(format, args...))
}
