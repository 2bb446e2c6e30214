package nameserver

import (
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"

	"github.com/miekg/dns"
)

// ttl is how long an answer may be kept, in seconds: containers come and go,
// and asking again is quick. (Docker's 600 has proxies send requests to
// containers that are gone.)
const ttl = 1

// ednsSize is the size of datagrams that needs no fragments anywhere.
const ednsSize = 1232

// answer answers what the daemon itself knows; nil leaves it to others.
func (s *Server) answer(query *dns.Msg) *dns.Msg {
	q := query.Question[0]
	if q.Qclass != dns.ClassINET {
		return nil
	}
	name := strings.TrimSuffix(dns.CanonicalName(q.Name), ".")
	if q.Qtype == dns.TypePTR {
		if addr, ok := parseReverse(name); ok {
			if host, ours := s.names.Reverse(addr); ours {
				return reply(query, &dns.PTR{Hdr: header(q, dns.TypePTR), Ptr: dns.Fqdn(host)})
			}
		}
		return nil
	}
	addrs, ours := s.names.Lookup(name)
	if !ours {
		return nil
	}
	var records []dns.RR
	for _, a := range addrs {
		switch a = a.Unmap(); {
		case a.Is4() && asksFor(q.Qtype, dns.TypeA):
			records = append(records, &dns.A{Hdr: header(q, dns.TypeA), A: a.AsSlice()})
		case a.Is6() && asksFor(q.Qtype, dns.TypeAAAA):
			records = append(records, &dns.AAAA{Hdr: header(q, dns.TypeAAAA), AAAA: a.AsSlice()})
		}
	}
	// Clients take the first: each of several containers gets its share.
	rand.Shuffle(len(records), func(i, j int) { records[i], records[j] = records[j], records[i] })
	return reply(query, records...)
}

func asksFor(asked, kind uint16) bool { return asked == kind || asked == dns.TypeANY }

// header keeps the question's spelling: clients may compare it letter by
// letter.
func header(q dns.Question, kind uint16) dns.RR_Header {
	return dns.RR_Header{Name: q.Name, Rrtype: kind, Class: dns.ClassINET, Ttl: ttl}
}

func reply(query *dns.Msg, records ...dns.RR) *dns.Msg {
	m := new(dns.Msg).SetReply(query)
	m.RecursionAvailable = true
	m.Answer = records
	return withEDNS(m, query)
}

func failure(query *dns.Msg) *dns.Msg {
	m := new(dns.Msg).SetRcode(query, dns.RcodeServerFailure)
	m.RecursionAvailable = true
	return withEDNS(m, query)
}

// withEDNS answers a client that speaks EDNS0 in kind (RFC 6891, 6.1.1).
func withEDNS(m, query *dns.Msg) *dns.Msg {
	if opt := query.IsEdns0(); opt != nil {
		m.SetEdns0(ednsSize, opt.Do())
	}
	return m
}

// parseReverse reads the address out of a name below in-addr.arpa or ip6.arpa.
func parseReverse(name string) (netip.Addr, bool) {
	if digits, ok := strings.CutSuffix(name, ".in-addr.arpa"); ok {
		parts := strings.Split(digits, ".")
		slices.Reverse(parts)
		addr, err := netip.ParseAddr(strings.Join(parts, "."))
		return addr, err == nil && addr.Is4()
	}
	digits, ok := strings.CutSuffix(name, ".ip6.arpa")
	nibbles := strings.Split(digits, ".")
	if !ok || len(nibbles) != 32 {
		return netip.Addr{}, false
	}
	slices.Reverse(nibbles)
	var text strings.Builder
	for i, n := range nibbles {
		if len(n) != 1 {
			return netip.Addr{}, false
		}
		if i > 0 && i%4 == 0 {
			text.WriteByte(':')
		}
		text.WriteString(n)
	}
	addr, err := netip.ParseAddr(text.String())
	return addr, err == nil
}
