package nameserver

import (
	"net/netip"

	"github.com/containerd/errdefs"
	"go.uber.org/zap"
)

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

// Ports are those on 127.0.0.11 at which a server listens.
type Ports struct{ UDP, TCP uint16 }

// Server answers the queries of one container.
type Server struct{}

// Serve starts a server in the network namespace at path netns and leads port
// 53 to it. It listens at these ports; at any where they are zero or taken.
func Serve(netns string, ports Ports, names Names, log *zap.Logger) (*Server, error) {
	return nil, errdefs.ErrNotImplemented
}

// Ports are where the server listens, to be given to Serve after a restart of
// the daemon.
func (s *Server) Ports() Ports { return Ports{} }

// Close ends the server and its sockets; queries under way are dropped.
func (s *Server) Close() error { return nil }

// HostUpstreams reads the name servers, search domains and options of the
// host's /etc/resolv.conf. A host without that file has none.
func HostUpstreams() (servers []netip.AddrPort, search, options []string, err error) {
	return nil, nil, nil, errdefs.ErrNotImplemented
}
