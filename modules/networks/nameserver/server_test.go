package nameserver

import (
	"net"
	"net/netip"
	"os"
	"testing"
	"time"

	"github.com/containerd/errdefs"
	"github.com/miekg/dns"
	"github.com/stretchr/testify/require"
	"go.uber.org/zap/zaptest"
	"golang.org/x/sync/errgroup"

	"github.com/pouchfx/pouchfx/modules/networks/netnstest"
)

func TestNamesOfContainers(t *testing.T) {
	noLeaks(t)
	c := newContainer(t, someNames())
	for _, q := range []struct {
		name  string
		kind  uint16
		want  []string
		rcode int
	}{
		{"web.", dns.TypeA, []string{"172.18.0.2"}, dns.RcodeSuccess},
		{"web.", dns.TypeAAAA, []string{"fd00::2"}, dns.RcodeSuccess},
		{"web.", dns.TypeANY, []string{"172.18.0.2", "fd00::2"}, dns.RcodeSuccess},
		{"WeB.MyNet.", dns.TypeA, []string{"172.18.0.2"}, dns.RcodeSuccess},
		{"only4.", dns.TypeAAAA, nil, dns.RcodeSuccess},
		{"web.", dns.TypeMX, nil, dns.RcodeSuccess},
		{"no-address.", dns.TypeA, nil, dns.RcodeSuccess},
		{"many.", dns.TypeA, []string{"172.18.0.4", "172.18.0.5", "172.18.0.6"}, dns.RcodeSuccess},
		{"2.0.18.172.in-addr.arpa.", dns.TypePTR, []string{"web.mynet."}, dns.RcodeSuccess},
		{"2.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.d.f.ip6.arpa.", dns.TypePTR, []string{"web.mynet."}, dns.RcodeSuccess},
		{"9.0.18.172.in-addr.arpa.", dns.TypePTR, nil, dns.RcodeServerFailure},
		{"else.", dns.TypeA, nil, dns.RcodeServerFailure}, // there is no one to ask
		{".", dns.TypeNS, nil, dns.RcodeServerFailure},
	} {
		for _, network := range []string{"udp", "tcp"} {
			t.Run(network+" "+q.name+dns.TypeToString[q.kind], func(t *testing.T) {
				query := new(dns.Msg).SetQuestion(q.name, q.kind)
				query.SetEdns0(1400, true)
				m, err := c.exchange(network, query)
				require.NoError(t, err)
				require.Equal(t, dns.RcodeToString[q.rcode], dns.RcodeToString[m.Rcode])
				require.ElementsMatch(t, q.want, data(m))
				require.True(t, m.RecursionAvailable && m.Response)
				require.True(t, m.IsEdns0() != nil && m.IsEdns0().Do(), "EDNS0 is answered")
				for _, rr := range m.Answer {
					require.Equal(t, q.name, rr.Header().Name, "as it was spelt")
					require.LessOrEqual(t, rr.Header().Ttl, uint32(5))
				}
			})
		}
	}
	t.Run("without EDNS0", func(t *testing.T) { require.Nil(t, c.ask(t, "web.", dns.TypeA).IsEdns0()) })
}

func TestEachOfSeveralContainersComesFirst(t *testing.T) {
	c := newContainer(t, someNames())
	first := map[string]int{}
	for range 100 {
		first[data(c.ask(t, "many.", dns.TypeA))[0]]++
	}
	require.Len(t, first, 3, "%v", first)
}

func TestAnAnswerThatDoesNotFitIsCutAndWholeOverTCP(t *testing.T) {
	n := &names{addrs: map[string][]netip.Addr{}}
	for a := addr("172.18.1.1"); len(n.addrs["crowd"]) < 200; a = a.Next() {
		n.addrs["crowd"] = append(n.addrs["crowd"], a)
	}
	c := newContainer(t, n)
	query := new(dns.Msg).SetQuestion("crowd.", dns.TypeA)
	m, err := c.exchange("udp", query)
	require.NoError(t, err)
	require.True(t, m.Truncated)
	require.Less(t, len(m.Answer), 100)
	query.SetEdns0(4096, false)
	m, err = c.exchange("udp", query)
	require.NoError(t, err)
	require.False(t, m.Truncated)
	require.Len(t, m.Answer, 200)
	m, err = c.exchange("tcp", new(dns.Msg).SetQuestion("crowd.", dns.TypeA))
	require.NoError(t, err)
	require.Len(t, m.Answer, 200)
}

// People run dnsmasq, pihole or bind in containers (netavark pull request 323).
func TestAContainerMayServePort53Itself(t *testing.T) {
	c := newContainer(t, someNames())
	for _, address := range []string{"0.0.0.0:53", "[::]:53", "127.0.0.1:53"} {
		t.Run(address, func(t *testing.T) {
			require.NoError(t, c.Do(func() error {
				udp, err := net.ListenPacket("udp", address)
				if err != nil {
					return err
				}
				defer udp.Close()
				tcp, err := net.Listen("tcp", address)
				if err != nil {
					return err
				}
				return tcp.Close()
			}))
		})
	}
	var own net.PacketConn
	require.NoError(t, c.Do(func() (err error) { own, err = net.ListenPacket("udp", "0.0.0.0:53"); return err }))
	server := &dns.Server{PacketConn: own, Handler: says("mine")}
	go server.ActivateAndServe()
	t.Cleanup(func() { own.Close() })
	require.Equal(t, []string{"172.18.0.2"}, data(c.ask(t, "web.", dns.TypeA)), "127.0.0.11 is the daemon's all the same")
	require.NoError(t, c.Do(func() error {
		m, err := dns.Exchange(new(dns.Msg).SetQuestion("web.", dns.TypeTXT), "127.0.0.1:53")
		require.Equal(t, []string{"mine"}, data(m))
		return err
	}))
}

func TestTheSamePortsServeAfterARestart(t *testing.T) {
	noLeaks(t)
	c := newContainer(t, someNames())
	ports := c.server.Ports()
	require.NotZero(t, ports.UDP)
	require.NotZero(t, ports.TCP)
	// Connections that linger must not keep the port.
	_, err := c.exchange("tcp", new(dns.Msg).SetQuestion("web.", dns.TypeA))
	require.NoError(t, err)
	for range 3 {
		require.NoError(t, c.server.Close())
		require.NoError(t, c.server.Close(), "again")
		c.serve(t, ports, someNames())
		require.Equal(t, ports, c.server.Ports())
		require.Equal(t, []string{"172.18.0.2"}, data(c.ask(t, "web.", dns.TypeA)))
	}

	t.Run("and others where those were taken meanwhile", func(t *testing.T) {
		require.NoError(t, c.server.Close())
		var thief net.PacketConn
		require.NoError(t, c.Do(func() (err error) {
			thief, err = net.ListenUDP("udp", &net.UDPAddr{Port: int(ports.UDP)})
			return err
		}))
		t.Cleanup(func() { thief.Close() })
		c.serve(t, ports, someNames())
		require.NotEqual(t, ports.UDP, c.server.Ports().UDP)
		require.Equal(t, []string{"172.18.0.2"}, data(c.ask(t, "web.", dns.TypeA)))
	})
}

func TestWithoutARedirectPort53ItselfIsServed(t *testing.T) {
	noLeaks(t)
	c := &container{Namespace: netnstest.New(t)}
	refuse := func(err error) func(string, uint16, uint16) error {
		return func(string, uint16, uint16) error { return err }
	}
	server, err := serve(c.Path(), Ports{}, someNames(), zaptest.NewLogger(t), refuse(errdefs.ErrUnavailable.WithMessage("no nftables")))
	require.NoError(t, err)
	require.Equal(t, Ports{UDP: 53, TCP: 53}, server.Ports())
	for _, network := range []string{"udp", "tcp"} {
		m, err := c.exchange(network, new(dns.Msg).SetQuestion("web.", dns.TypeA))
		require.NoError(t, err)
		require.Equal(t, []string{"172.18.0.2"}, data(m))
	}
	require.NoError(t, server.Close())

	t.Run("but not after any error", func(t *testing.T) {
		_, err := serve(c.Path(), Ports{}, someNames(), zaptest.NewLogger(t), refuse(os.ErrInvalid))
		require.ErrorIs(t, err, os.ErrInvalid)
	})
}

func TestServeSaysWhatItCouldNotEnter(t *testing.T) {
	netnstest.RequireRoot(t)
	_, err := Serve("/nowhere/net", Ports{}, someNames(), zaptest.NewLogger(t))
	require.ErrorIs(t, err, os.ErrNotExist)
	require.ErrorContains(t, err, "/nowhere/net")
	_, err = Serve("/dev/null", Ports{}, someNames(), zaptest.NewLogger(t))
	require.Error(t, err)
}

func TestManyContainersAskAtOnce(t *testing.T) {
	noLeaks(t)
	up := upstream(t, "127.0.0.1:0", says("far"))
	var all errgroup.Group
	for range 20 {
		c := newContainer(t, someNames().ask(up))
		for range 5 {
			all.Go(func() error {
				for _, network := range []string{"udp", "tcp"} {
					for _, name := range []string{"web.", "far.example."} {
						query := new(dns.Msg).SetQuestion(name, dns.TypeANY)
						if m, err := c.exchange(network, query); err != nil {
							return err
						} else if len(m.Answer) == 0 {
							return os.ErrInvalid
						}
					}
				}
				return nil
			})
		}
	}
	require.NoError(t, all.Wait())
}

func TestManyIdleConnectionsDoNotKeepTheServerFromAnswering(t *testing.T) {
	noLeaks(t)
	c := newContainer(t, someNames())
	for range maxConnections * 2 {
		require.NoError(t, c.Do(func() error {
			conn, err := net.DialTimeout("tcp", "127.0.0.11:53", time.Second)
			if err == nil {
				t.Cleanup(func() { conn.Close() })
			}
			return err
		}))
	}
	require.Equal(t, []string{"172.18.0.2"}, data(c.ask(t, "web.", dns.TypeA)))
	// Who sends nothing is closed, and the next is served.
	m, err := c.exchange("tcp", new(dns.Msg).SetQuestion("web.", dns.TypeA))
	require.NoError(t, err)
	require.Equal(t, []string{"172.18.0.2"}, data(m))
}
