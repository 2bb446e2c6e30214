package containers

import (
	"slices"
	"sync"
	"time"

	"github.com/moby/moby/api/types/container"
)

// maxHealthLog is how many results of a health check are kept.
const maxHealthLog = 5

// health is how a container's present run fares. The zero value is that of a
// container without a health check.
type health struct {
	mu   sync.Mutex
	now  *container.Health // replaced as a whole; nil without a health check
	stop func()            // ends the checks; nil when there are none
}

// begin notes that checks begin, which stop ends. Those before are ended. What
// is known of the run is kept unless it is a new one.
func (h *health) begin(stop func(), anew bool) {
	h.end()
	h.mu.Lock()
	defer h.mu.Unlock()
	h.stop = stop
	if anew || h.now == nil {
		h.now = &container.Health{Status: container.Starting, Log: []*container.HealthcheckResult{}}
	}
}

// end ends the checks, if there are any.
func (h *health) end() {
	h.mu.Lock()
	stop := h.stop
	h.stop = nil
	h.mu.Unlock()
	if stop != nil {
		stop()
	}
}

// last ends the checks of a run that has ended, and returns what is kept of
// them: what does not run is not healthy.
func (h *health) last() *container.Health {
	h.end()
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.now == nil {
		return nil
	}
	last := *h.now
	last.Status = container.Unhealthy
	h.now = nil
	return &last
}

// state returns what is known; nil without a health check.
func (h *health) state() *container.Health {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.now
}

// add notes a result of a container that has run for a while, and returns the
// status if it has changed.
func (h *health) add(r *container.HealthcheckResult, p *probe, ran time.Duration) (changed container.HealthStatus) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.now == nil { // the run has ended
		return ""
	}
	next := *h.now
	next.Log = append(slices.Clone(next.Log), r)
	next.Log = next.Log[max(0, len(next.Log)-maxHealthLog):]
	switch {
	case r.ExitCode == 0:
		next.FailingStreak, next.Status = 0, container.Healthy
	case next.Status == container.Starting && ran < p.startPeriod: // it may fail for now
	default:
		if next.FailingStreak++; next.FailingStreak >= p.retries {
			next.Status = container.Unhealthy
		}
	}
	before := h.now.Status
	h.now = &next
	if next.Status == before {
		return ""
	}
	return next.Status
}

// currentHealth is that of the present run, or of the last; nil without a
// health check.
func (c *ctr) currentHealth() *container.Health {
	if now := c.health.state(); now != nil && c.current() != nil {
		return now
	}
	return c.record().State.Health
}

// healthStatus is what the filter health asks for.
func healthStatus(c *ctr) string {
	if h := c.currentHealth(); h != nil {
		return string(h.Status)
	}
	return string(container.NoHealthcheck)
}

// healthText is the health as ps shows it beside the state.
func healthText(h *container.Health) string {
	switch {
	case h == nil:
		return ""
	case h.Status == container.Starting:
		return " (health: starting)"
	}
	return " (" + string(h.Status) + ")"
}
