package firewall

import "net/netip"

// Network is a bridge and what may pass it.
type Network struct {
	// Bridge is the interface's name.
	Bridge string
	// Subnets are those of its containers, at most a few of each family.
	Subnets []netip.Prefix
	// Internal keeps its containers from everything but each other and the
	// host.
	Internal bool
	// Masquerade gives what its containers send elsewhere the host's address.
	Masquerade bool
	// ICC lets its containers talk to each other. Where it is off, ports of
	// the bridge must be isolated too: two containers on one bridge talk below
	// IP, where this package does not see them.
	ICC bool
}

// Port is one port of the host that leads to a container.
type Port struct {
	// Protocol is tcp, udp or sctp.
	Protocol string
	// HostIP is one address of the host. The unspecified address and the zero
	// Addr stand for every address of the container's family. 127.0.0.1 is
	// reached from the host alone; ::1 cannot be published.
	HostIP   netip.Addr
	HostPort uint16
	// Container is the container's address on the network of Bridge.
	Container     netip.Addr
	ContainerPort uint16
	Bridge        string
}
