package nameserver

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/miekg/dns"
	"github.com/stretchr/testify/require"
	"go.uber.org/zap"
)

func TestResolvConfIsRead(t *testing.T) {
	for _, c := range []struct {
		name, text      string
		servers         []string
		search, options []string
	}{
		{"nothing", "", nil, nil, nil},
		{"systemd-resolved", "# a comment\nnameserver 127.0.0.53\noptions edns0 trust-ad\nsearch lan home.arpa\n",
			[]string{"127.0.0.53:53"}, []string{"lan", "home.arpa"}, []string{"edns0", "trust-ad"}},
		{"several servers", "nameserver 10.0.0.1\n nameserver\t2001:db8::1 \nnameserver fe80::1%eth0\nnameserver 10.0.0.2",
			[]string{"10.0.0.1:53", "[2001:db8::1]:53", "[fe80::1%eth0]:53", "10.0.0.2:53"}, nil, nil},
		{"the last search or domain counts", "search a b\ndomain c d\n", nil, []string{"c"}, nil},
		{"options add up", "options ndots:2\noptions rotate timeout:1\n", nil, nil, []string{"ndots:2", "rotate", "timeout:1"}},
		{"what is no address is passed over", "nameserver localhost\nnameserver\nserver 1.1.1.1\n;nameserver 1.1.1.1\n#nameserver 1.1.1.1\nnameserver 1.1.1.1 # mine\r\n",
			[]string{"1.1.1.1:53"}, nil, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			servers, search, options, err := parse(strings.NewReader(c.text))
			require.NoError(t, err)
			var got []string
			for _, s := range servers {
				got = append(got, s.String())
			}
			require.Equal(t, c.servers, got)
			require.Equal(t, c.search, search)
			require.Equal(t, c.options, options)
		})
	}
	_, _, _, err := HostUpstreams()
	require.NoError(t, err)
}

func FuzzResolvConf(f *testing.F) {
	f.Add("nameserver 10.0.0.1\nsearch a\noptions b\n# c")
	f.Add("\x00 \x0b;\n;")
	f.Fuzz(func(t *testing.T, text string) {
		servers, _, _, err := parse(strings.NewReader(text))
		for _, s := range servers {
			require.True(t, s.IsValid(), "%q", text)
		}
		_ = err // a line of a megabyte
	})
}

func FuzzReverseNames(f *testing.F) {
	f.Add("2.0.18.172.in-addr.arpa")
	f.Add(strings.Repeat("0.", 32) + "ip6.arpa")
	f.Fuzz(func(t *testing.T, name string) {
		addr, ok := parseReverse(name)
		if !ok {
			return
		}
		back, err := dns.ReverseAddr(addr.String())
		require.NoError(t, err)
		require.Equal(t, strings.ToLower(name)+".", back)
	})
}

// FuzzQueries takes what a container may send, as the server does.
func FuzzQueries(f *testing.F) {
	query := new(dns.Msg).SetQuestion("web.", dns.TypeA)
	query.SetEdns0(4096, true)
	raw, err := query.Pack()
	require.NoError(f, err)
	f.Add(raw)
	f.Add(raw[:12])
	names := someNames()
	s := &Server{names: names, log: zap.NewNop(), forward: newForwarder(func() []netip.AddrPort { return nil }, zap.NewNop())}
	f.Fuzz(func(t *testing.T, raw []byte) {
		m := new(dns.Msg)
		if m.Unpack(raw) != nil || len(m.Question) != 1 {
			return
		}
		answer := s.answer(m)
		if answer == nil {
			answer = s.forward.ask(m, false)
		}
		answer.Compress = true
		answer.Truncate(sizeFor(m))
		packed, err := answer.Pack()
		if err != nil {
			return // a name that only unpacks
		}
		require.NoError(t, new(dns.Msg).Unpack(packed))
	})
}
