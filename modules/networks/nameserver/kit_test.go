package nameserver

import (
	"context"
	"net"
	"net/netip"
	"sync/atomic"
	"testing"
	"time"

	"github.com/miekg/dns"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"go.uber.org/zap/zaptest"

	"github.com/pouchfx/pouchfx/modules/networks/netnstest"
)

func TestMain(m *testing.M) { netnstest.Main(m) }

// names are what a test lets a container resolve.
type names struct {
	addrs     map[string][]netip.Addr
	reverse   map[netip.Addr]string
	upstreams atomic.Pointer[[]netip.AddrPort]
}

func (n *names) Lookup(name string) ([]netip.Addr, bool) { a, ok := n.addrs[name]; return a, ok }

func (n *names) Reverse(a netip.Addr) (string, bool) { s, ok := n.reverse[a]; return s, ok }

func (n *names) Upstreams() []netip.AddrPort {
	if u := n.upstreams.Load(); u != nil {
		return *u
	}
	return nil
}

func (n *names) ask(upstreams ...netip.AddrPort) *names {
	n.upstreams.Store(&upstreams)
	return n
}

func addr(s string) netip.Addr { return netip.MustParseAddr(s) }

// containers' names in most tests.
func someNames() *names {
	return &names{
		addrs: map[string][]netip.Addr{
			"web":        {addr("172.18.0.2"), addr("fd00::2")},
			"web.mynet":  {addr("172.18.0.2")},
			"only4":      {addr("172.18.0.3")},
			"many":       {addr("172.18.0.4"), addr("172.18.0.5"), addr("172.18.0.6")},
			"no-address": nil,
		},
		reverse: map[netip.Addr]string{addr("172.18.0.2"): "web.mynet", addr("fd00::2"): "web.mynet"},
	}
}

// container is a network namespace with a name server.
type container struct {
	*netnstest.Namespace
	server *Server
}

func newContainer(t testing.TB, n Names) *container {
	c := &container{Namespace: netnstest.New(t)}
	c.serve(t, Ports{}, n)
	return c
}

func (c *container) serve(t testing.TB, ports Ports, n Names) {
	t.Helper()
	var err error
	c.server, err = Serve(c.Path(), ports, n, zaptest.NewLogger(t))
	require.NoError(t, err)
	server := c.server
	t.Cleanup(func() { require.NoError(t, server.Close()) })
}

// exchange asks as a process in the container does.
func (c *container) exchange(network string, m *dns.Msg) (answer *dns.Msg, err error) {
	err = c.Do(func() error {
		client := dns.Client{Net: network, Timeout: 10 * time.Second}
		answer, _, err = client.Exchange(m, "127.0.0.11:53")
		return err
	})
	return answer, err
}

func (c *container) ask(t testing.TB, name string, kind uint16) *dns.Msg {
	t.Helper()
	answer, err := c.exchange("udp", new(dns.Msg).SetQuestion(name, kind))
	require.NoError(t, err, name)
	return answer
}

// data are the answers without their headers.
func data(m *dns.Msg) []string {
	var all []string
	for _, rr := range m.Answer {
		switch rr := rr.(type) {
		case *dns.A:
			all = append(all, rr.A.String())
		case *dns.AAAA:
			all = append(all, rr.AAAA.String())
		case *dns.PTR:
			all = append(all, rr.Ptr)
		case *dns.TXT:
			all = append(all, rr.Txt...)
		}
	}
	return all
}

// upstream runs a name server in the test's own namespace, which is the
// daemon's.
func upstream(t testing.TB, address string, handle dns.HandlerFunc) netip.AddrPort {
	t.Helper()
	udp, err := net.ListenPacket("udp", address)
	require.NoError(t, err)
	tcp, err := net.Listen("tcp", udp.LocalAddr().String())
	require.NoError(t, err)
	for _, s := range []*dns.Server{{PacketConn: udp, Handler: handle}, {Listener: tcp, Handler: handle}} {
		started, ended := make(chan struct{}), make(chan struct{})
		s.NotifyStartedFunc = func() { close(started) }
		go func() { defer close(ended); s.ActivateAndServe() }()
		<-started
		t.Cleanup(func() {
			ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
			defer cancel()
			s.ShutdownContext(ctx)
		})
	}
	return netip.MustParseAddrPort(udp.LocalAddr().String())
}

// says answers everything with one TXT record.
func says(text ...string) dns.HandlerFunc {
	return func(w dns.ResponseWriter, q *dns.Msg) {
		m := new(dns.Msg).SetReply(q)
		m.Answer = []dns.RR{&dns.TXT{Hdr: dns.RR_Header{Name: q.Question[0].Name, Rrtype: dns.TypeTXT, Class: dns.ClassINET, Ttl: 60}, Txt: text}}
		w.WriteMsg(m)
	}
}

func answersCode(rcode int) dns.HandlerFunc {
	return func(w dns.ResponseWriter, q *dns.Msg) { w.WriteMsg(new(dns.Msg).SetRcode(q, rcode)) }
}

func noLeaks(t *testing.T) { t.Cleanup(func() { goleak.VerifyNone(t) }) }
