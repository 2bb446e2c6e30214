package nameserver

import "net/netip"

// Names says what a container may resolve. It is asked at each query, by
// several goroutines at once, and must be quick.
type Names interface {
	// Lookup returns the addresses of a name, which is in lower case and
	// without the trailing dot, and whether the name is one of ours: ours
	// without an address of the family that was asked for exists, but has no
	// such address (NODATA); a name that is not ours is asked upstream.
	Lookup(name string) (addrs []netip.Addr, ours bool)
	// Reverse returns the name of an address, without the trailing dot.
	Reverse(addr netip.Addr) (name string, ours bool)
	// Upstreams are the servers to ask for other names, in that order. Where
	// there are none, other names fail.
	Upstreams() []netip.AddrPort
}
