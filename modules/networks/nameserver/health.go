package nameserver

import (
	"net/netip"
	"slices"
	"sync"
	"time"
)

// lame is how long a server that did not answer is asked last, so that not
// every query waits for it.
const lame = 10 * time.Second

// health remembers which servers did not answer.
type health struct {
	mu     sync.Mutex
	failed map[netip.AddrPort]time.Time
}

// order returns the servers with those that failed lately at the end.
func (h *health) order(servers []netip.AddrPort) []netip.AddrPort {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.failed) == 0 {
		return servers
	}
	now := time.Now()
	isLame := func(s netip.AddrPort) int {
		if now.Sub(h.failed[s]) < lame {
			return 1
		}
		return 0
	}
	ordered := slices.Clone(servers)
	slices.SortStableFunc(ordered, func(a, b netip.AddrPort) int { return isLame(a) - isLame(b) })
	return ordered
}

func (h *health) note(server netip.AddrPort, answered bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if answered {
		delete(h.failed, server)
		return
	}
	if h.failed == nil {
		h.failed = map[netip.AddrPort]time.Time{}
	}
	h.failed[server] = time.Now()
}
