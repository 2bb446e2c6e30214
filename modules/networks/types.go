package networks

import (
	"net/netip"

	"github.com/moby/moby/api/types/network"
)

// Network tells which network a name or an id stands for.
type Network struct {
	ID, Name string
	// Driver is bridge, host or null.
	Driver string
}

// Sandbox says what a container's network namespace is made for.
type Sandbox struct {
	// Container is the full id, Name the name without a slash.
	Container, Name string
	// Hostname is one of the names by which others find the container.
	Hostname string
	// Ports are those to publish. A binding without a host port gets one that
	// is free, a port without bindings gets one binding like that, and a range
	// ("8000-8010") its first that is free.
	Ports network.PortMap
	// DNS, DNSSearch and DNSOptions replace the host's.
	DNS                   []netip.Addr
	DNSSearch, DNSOptions []string
}

// Names are what a container's /etc/resolv.conf and /etc/hosts are made of.
type Names struct {
	// Servers are the name servers: the embedded one alone, where there is one.
	Servers         []netip.Addr
	Search, Options []string
	// Addresses are the container's own.
	Addresses []netip.Addr
	// Gateway is the host's address as the container sees it; the zero
	// address when it has none.
	Gateway netip.Addr
}
