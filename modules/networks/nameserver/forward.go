package nameserver

import (
	"context"
	"errors"
	"net/netip"
	"strings"
	"time"

	"github.com/miekg/dns"
	"go.uber.org/zap"
	"golang.org/x/sync/semaphore"
)

const (
	// patience is how long a query may take: clients ask again after 5 s.
	patience = 4500 * time.Millisecond
	// attempt is how long one server may take before the next is asked.
	attempt = 1500 * time.Millisecond
)

// forwarder asks other servers, from the daemon's network namespace.
type forwarder struct {
	upstreams func() []netip.AddrPort
	health    health
	log       *zap.Logger
	// admitted are queries that were taken on, asking those under way.
	admitted, asking *semaphore.Weighted
	ctx              context.Context
	cancel           context.CancelFunc
}

func newForwarder(upstreams func() []netip.AddrPort, log *zap.Logger) *forwarder {
	f := &forwarder{upstreams: upstreams, log: log,
		admitted: semaphore.NewWeighted(maxQueries + maxWaiting), asking: semaphore.NewWeighted(maxQueries)}
	f.ctx, f.cancel = context.WithCancel(context.Background())
	return f
}

// close ends queries under way.
func (f *forwarder) close() { f.cancel() }

// ask returns the first good answer. When no server has one, it is the last
// that was no good, or SERVFAIL.
func (f *forwarder) ask(query *dns.Msg, overTCP bool) *dns.Msg {
	if !f.admitted.TryAcquire(1) {
		return failure(query)
	}
	defer f.admitted.Release(1)
	ctx, cancel := context.WithTimeout(f.ctx, patience)
	defer cancel()
	if f.asking.Acquire(ctx, 1) != nil {
		return failure(query)
	}
	defer f.asking.Release(1)

	best := failure(query)
	upstreams := f.upstreams()
	for range 2 { // the second round is for datagrams that were lost
		lost := false
		for _, server := range f.health.order(upstreams) {
			answer, err := f.exchange(ctx, query, server, overTCP)
			if ctx.Err() != nil {
				return best
			}
			f.health.note(server, err == nil)
			if err != nil {
				f.log.Debug("a name server did not answer", zap.Stringer("server", server), zap.Error(err))
				lost = true
				continue
			}
			answer.Id = query.Id
			if !refused(answer.Rcode) {
				return answer
			}
			best = answer
		}
		if !lost {
			break
		}
	}
	return best
}

// refused says that another server may know better.
func refused(rcode int) bool {
	return rcode == dns.RcodeServerFailure || rcode == dns.RcodeRefused || rcode == dns.RcodeNotImplemented
}

// exchange asks one server: over UDP, and over TCP where the client came so or
// the answer does not fit a datagram.
func (f *forwarder) exchange(ctx context.Context, query *dns.Msg, server netip.AddrPort, overTCP bool) (*dns.Msg, error) {
	ctx, cancel := context.WithTimeout(ctx, attempt)
	defer cancel()
	if overTCP {
		return exchange(ctx, "tcp", query, server)
	}
	answer, err := exchange(ctx, "udp", query, server)
	if answer != nil && answer.Truncated {
		if whole, err := exchange(ctx, "tcp", query, server); err == nil {
			return whole, nil
		}
	}
	return answer, err
}

var errOther = errors.New("the answer is to another question")

// exchange sends a query as it is, with an id of our own, on a socket of its
// own: both must be guessed by who wants to forge the answer.
func exchange(ctx context.Context, network string, query *dns.Msg, server netip.AddrPort) (*dns.Msg, error) {
	client := dns.Client{Net: network, Timeout: attempt}
	c, err := client.DialContext(ctx, server.String())
	if err != nil {
		return nil, err
	}
	defer c.Close()
	stop := context.AfterFunc(ctx, func() { c.Close() })
	defer stop()
	m := *query
	m.Id = dns.Id()
	answer, _, err := client.ExchangeWithConnContext(ctx, &m, c)
	switch {
	case err != nil && (answer == nil || !answer.Truncated): // some servers cut records in two
		return nil, err
	case !answer.Response, len(answer.Question) > 1, len(answer.Question) == 1 && !same(answer.Question[0], query.Question[0]):
		return nil, errOther
	}
	return answer, nil
}

func same(a, b dns.Question) bool {
	return a.Qtype == b.Qtype && a.Qclass == b.Qclass && strings.EqualFold(a.Name, b.Name)
}
