package nameserver

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/containerd/errdefs"
	"github.com/miekg/dns"
	"go.uber.org/zap"
	"golang.org/x/net/netutil"

	"github.com/pouchfx/pouchfx/modules/networks/firewall"
)

// Bounds of one server: what one container may take of the daemon.
const (
	maxConnections = 64
	// maxQueries is how many queries may be under way upstream, maxWaiting how
	// many more may wait for their turn; beyond, they fail at once.
	maxQueries, maxWaiting = 100, 900
	// closing bounds the time that queries under way have to end.
	closing = 2 * time.Second
)

// Ports are those on 127.0.0.11 at which a server listens.
type Ports struct{ UDP, TCP uint16 }

// Server answers the queries of one container.
type Server struct {
	ports    Ports
	forward  *forwarder
	names    Names
	log      *zap.Logger
	udp, tcp *dns.Server
	loops    sync.WaitGroup
	closed   sync.Once
}

// Serve starts a server in the network namespace at path netns and leads port
// 53 to it. It listens at these ports; at any where they are zero or taken.
// Where the kernel cannot redirect, it listens at port 53 itself.
func Serve(netns string, ports Ports, names Names, log *zap.Logger) (*Server, error) {
	return serve(netns, ports, names, log, firewall.RedirectDNS)
}

func serve(netns string, ports Ports, names Names, log *zap.Logger, redirect func(netns string, udp, tcp uint16) error) (*Server, error) {
	udp, tcp, err := listen(netns, ports)
	if err != nil {
		return nil, err
	}
	got := portsOf(udp, tcp)
	if err := redirect(netns, got.UDP, got.TCP); err != nil {
		closeSockets(udp, tcp)
		if !errdefs.IsUnavailable(err) {
			return nil, err
		}
		log.Warn("containers cannot use port 53 themselves: it is the name server's", zap.Error(err))
		if udp, tcp, err = listenExactly(netns, Ports{UDP: 53, TCP: 53}); err != nil {
			return nil, err
		}
		got = portsOf(udp, tcp)
	}
	s := &Server{ports: got, names: names, log: log, forward: newForwarder(names.Upstreams, log)}
	// A read that times out is read again: the longer, the less the daemon
	// wakes up for containers that ask nothing.
	s.udp = &dns.Server{PacketConn: udp, Handler: s, UDPSize: 4096, ReadTimeout: 24 * time.Hour}
	s.tcp = &dns.Server{Listener: netutil.LimitListener(patient{tcp}, maxConnections), Handler: s}
	for _, server := range []*dns.Server{s.udp, s.tcp} {
		s.start(server)
	}
	return s, nil
}

// start returns once the server can be shut down.
func (s *Server) start(server *dns.Server) {
	started := make(chan struct{})
	once := sync.OnceFunc(func() { close(started) })
	server.NotifyStartedFunc = once
	s.loops.Go(func() {
		defer once()
		if err := server.ActivateAndServe(); err != nil {
			s.log.Error("a name server stopped", zap.Error(err))
		}
	})
	<-started
}

// Ports are where the server listens, to be given to Serve after a restart of
// the daemon.
func (s *Server) Ports() Ports { return s.ports }

// Close ends the server and its sockets; queries under way are dropped. The
// redirect stays, for the next server or the end of the namespace.
func (s *Server) Close() (err error) {
	s.closed.Do(func() {
		s.forward.close()
		ctx, cancel := context.WithTimeout(context.Background(), closing)
		defer cancel()
		for _, server := range []*dns.Server{s.udp, s.tcp} {
			if e := server.ShutdownContext(ctx); e != nil && err == nil {
				err = fmt.Errorf("end a name server: %w", e)
			}
		}
		s.loops.Wait()
	})
	return err
}

// ServeDNS implements [dns.Handler].
func (s *Server) ServeDNS(w dns.ResponseWriter, query *dns.Msg) {
	defer func() {
		if p := recover(); p != nil { // a container must not end the daemon
			s.log.Error("a name server's query panicked", zap.Any("error", p), zap.Stack("stack"))
		}
	}()
	if len(query.Question) != 1 { // the library looks at the header's count
		w.WriteMsg(new(dns.Msg).SetRcodeFormatError(query))
		return
	}
	answer := s.answer(query)
	_, overTCP := w.LocalAddr().(*net.TCPAddr)
	if answer == nil {
		answer = s.forward.ask(query, overTCP)
	}
	answer.Compress = true
	if !overTCP {
		answer.Truncate(sizeFor(query))
	}
	if err := w.WriteMsg(answer); err != nil {
		s.log.Debug("a name could not be answered", zap.Error(err))
	}
}

// sizeFor is what the client can take in one datagram.
func sizeFor(query *dns.Msg) int {
	if opt := query.IsEdns0(); opt != nil {
		return int(max(opt.UDPSize(), dns.MinMsgSize))
	}
	return dns.MinMsgSize
}

func portsOf(udp net.PacketConn, tcp net.Listener) Ports {
	port := func(a net.Addr) uint16 { return netip.MustParseAddrPort(a.String()).Port() }
	return Ports{UDP: port(udp.LocalAddr()), TCP: port(tcp.Addr())}
}
