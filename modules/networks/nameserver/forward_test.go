package nameserver

import (
	"net"
	"net/netip"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/miekg/dns"
	"github.com/stretchr/testify/require"
)

func TestOtherNamesAreForwarded(t *testing.T) {
	noLeaks(t)
	// An address as systemd-resolved has it: in the container it is another's.
	up := upstream(t, "127.0.0.53:0", says("far"))
	c := newContainer(t, someNames().ask(up))
	for _, network := range []string{"udp", "tcp"} {
		m, err := c.exchange(network, new(dns.Msg).SetQuestion("far.example.", dns.TypeTXT))
		require.NoError(t, err)
		require.Equal(t, []string{"far"}, data(m))
		require.EqualValues(t, 60, m.Answer[0].Header().Ttl, "as the server said")
	}
	require.Equal(t, []string{"far"}, data(c.ask(t, "9.0.18.172.in-addr.arpa.", dns.TypePTR)))
	require.Equal(t, []string{"172.18.0.2"}, data(c.ask(t, "web.", dns.TypeA)))
}

func TestAQueryGoesOnAsItIs(t *testing.T) {
	got := make(chan *dns.Msg, 1)
	up := upstream(t, "127.0.0.1:0", func(w dns.ResponseWriter, q *dns.Msg) {
		got <- q.Copy()
		says("far")(w, q)
	})
	c := newContainer(t, someNames().ask(up))
	query := new(dns.Msg).SetQuestion("FaR.example.", dns.TypeTXT)
	query.SetEdns0(1400, true)
	query.IsEdns0().Option = []dns.EDNS0{&dns.EDNS0_LOCAL{Code: dns.EDNS0LOCALSTART, Data: []byte("x")}}
	query.CheckingDisabled, query.AuthenticatedData = true, true
	m, err := c.exchange("udp", query)
	require.NoError(t, err)
	require.Equal(t, query.Id, m.Id)
	upstreams := <-got
	require.NotEqual(t, query.Id, upstreams.Id, "who guesses the container's id knows nothing")
	upstreams.Id = query.Id
	require.Equal(t, query.String(), upstreams.String())
}

func TestTheNextServerIsAsked(t *testing.T) {
	silent := func(dns.ResponseWriter, *dns.Msg) {}
	for _, c := range []struct {
		name  string
		first dns.HandlerFunc
		want  []string
		rcode int
	}{
		{"after one that fails", answersCode(dns.RcodeServerFailure), []string{"second"}, dns.RcodeSuccess},
		{"after one that refuses", answersCode(dns.RcodeRefused), []string{"second"}, dns.RcodeSuccess},
		{"after one that is silent", silent, []string{"second"}, dns.RcodeSuccess},
		{"not after one that knows there is no such name", answersCode(dns.RcodeNameError), nil, dns.RcodeNameError},
		{"after one that answers another question", func(w dns.ResponseWriter, q *dns.Msg) {
			q.Question[0].Name = "evil.example."
			says("first")(w, q)
		}, []string{"second"}, dns.RcodeSuccess},
		{"after one that sends rubbish", func(w dns.ResponseWriter, q *dns.Msg) {
			raw, _ := q.Pack()
			w.Write(append(raw[:2:2], 0x81, 0x80, 0, 1, 0xff, 0xff, 0, 0, 0, 0, 0xc0))
		}, []string{"second"}, dns.RcodeSuccess},
		{"after one that sends the query back", func(w dns.ResponseWriter, q *dns.Msg) { w.WriteMsg(q) }, []string{"second"}, dns.RcodeSuccess},
	} {
		t.Run(c.name, func(t *testing.T) {
			noLeaks(t)
			box := newContainer(t, someNames().ask(upstream(t, "127.0.0.1:0", c.first), upstream(t, "127.0.0.1:0", says("second"))))
			m := box.ask(t, "far.example.", dns.TypeTXT)
			require.Equal(t, dns.RcodeToString[c.rcode], dns.RcodeToString[m.Rcode])
			require.Equal(t, c.want, data(m))
		})
	}
	t.Run("and when all fail, the last answer is the answer", func(t *testing.T) {
		box := newContainer(t, someNames().ask(upstream(t, "127.0.0.1:0", answersCode(dns.RcodeServerFailure)),
			upstream(t, "127.0.0.1:0", answersCode(dns.RcodeRefused))))
		require.Equal(t, dns.RcodeRefused, box.ask(t, "far.example.", dns.TypeTXT).Rcode)
	})
}

func TestAServerThatIsSilentIsAskedLastForAWhile(t *testing.T) {
	var asked atomic.Int32
	silent := upstream(t, "127.0.0.1:0", func(dns.ResponseWriter, *dns.Msg) { asked.Add(1) })
	c := newContainer(t, someNames().ask(silent, upstream(t, "127.0.0.1:0", says("second"))))
	for range 5 {
		require.Equal(t, []string{"second"}, data(c.ask(t, "far.example.", dns.TypeTXT)))
	}
	require.EqualValues(t, 1, asked.Load())
}

func TestALostDatagramIsSentAgain(t *testing.T) {
	var asked atomic.Int32
	up := upstream(t, "127.0.0.1:0", func(w dns.ResponseWriter, q *dns.Msg) {
		if asked.Add(1) > 1 {
			says("far")(w, q)
		}
	})
	require.Equal(t, []string{"far"}, data(newContainer(t, someNames().ask(up)).ask(t, "far.example.", dns.TypeTXT)))
}

func TestNoServerAnswers(t *testing.T) {
	noLeaks(t)
	closed, err := net.ListenPacket("udp", "127.0.0.1:0")
	require.NoError(t, err)
	nobody := netip.MustParseAddrPort(closed.LocalAddr().String())
	closed.Close()
	silent := upstream(t, "127.0.0.1:0", func(dns.ResponseWriter, *dns.Msg) {})
	for name, up := range map[string]netip.AddrPort{"nobody is there": nobody, "it is silent": silent,
		"there is no way": netip.MustParseAddrPort("203.0.113.1:53")} {
		t.Run(name, func(t *testing.T) {
			start := time.Now()
			m := newContainer(t, someNames().ask(up)).ask(t, "far.example.", dns.TypeTXT)
			require.Equal(t, dns.RcodeServerFailure, m.Rcode)
			require.Less(t, time.Since(start), 5*time.Second, "clients do not wait longer")
		})
	}
}

func TestAnAnswerThatWasCutIsFetchedOverTCP(t *testing.T) {
	long := make([]string, 10)
	for i := range long {
		long[i] = strings.Repeat("x", 200)
	}
	up := upstream(t, "127.0.0.1:0", func(w dns.ResponseWriter, q *dns.Msg) {
		if _, udp := w.LocalAddr().(*net.UDPAddr); udp {
			m := new(dns.Msg).SetReply(q)
			m.Truncated = true
			w.WriteMsg(m)
			return
		}
		says(long...)(w, q)
	})
	c := newContainer(t, someNames().ask(up))
	query := new(dns.Msg).SetQuestion("far.example.", dns.TypeTXT)
	query.SetEdns0(4096, false)
	m, err := c.exchange("udp", query)
	require.NoError(t, err)
	require.False(t, m.Truncated)
	require.Len(t, data(m), 10)

	m = c.ask(t, "far.example.", dns.TypeTXT)
	require.True(t, m.Truncated, "without room for it, the client comes over TCP")
	m, err = c.exchange("tcp", new(dns.Msg).SetQuestion("far.example.", dns.TypeTXT))
	require.NoError(t, err)
	require.Len(t, data(m), 10)
}

// A container that asks without end must not take the daemon's goroutines,
// sockets or time from others.
func TestAFloodOfQueriesIsBounded(t *testing.T) {
	noLeaks(t)
	silent := upstream(t, "127.0.0.1:0", func(dns.ResponseWriter, *dns.Msg) {})
	c := newContainer(t, someNames().ask(silent))
	other := newContainer(t, someNames().ask(upstream(t, "127.0.0.1:0", says("far"))))
	var failures atomic.Int32
	var flood net.Conn
	require.NoError(t, c.Do(func() (err error) { flood, err = net.Dial("udp", "127.0.0.11:53"); return err }))
	var reader sync.WaitGroup
	reader.Go(func() {
		buffer := make([]byte, 512)
		for {
			if _, err := flood.Read(buffer); err != nil {
				return
			}
			failures.Add(1)
		}
	})
	before := runtime.NumGoroutine()
	query := new(dns.Msg).SetQuestion("far.example.", dns.TypeA)
	for range 5000 {
		query.Id = dns.Id()
		raw, err := query.Pack()
		require.NoError(t, err)
		_, err = flood.Write(raw)
		require.NoError(t, err)
	}
	require.Eventually(t, func() bool { return failures.Load() > 1000 }, 5*time.Second, time.Millisecond, "those beyond the bound fail at once")
	require.Less(t, runtime.NumGoroutine()-before, 2*(maxQueries+maxWaiting))
	require.Equal(t, []string{"172.18.0.2"}, data(c.ask(t, "web.", dns.TypeA)), "its own names go on")
	require.Equal(t, []string{"far"}, data(other.ask(t, "far.example.", dns.TypeTXT)))
	start := time.Now()
	require.NoError(t, c.server.Close())
	require.Less(t, time.Since(start), time.Second, "what is under way does not hold the end up")
	flood.Close()
	reader.Wait()
}
