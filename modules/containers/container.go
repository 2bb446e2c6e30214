package containers

import (
	"context"
	"sync"
	"sync/atomic"

	"github.com/moby/moby/api/types/container"
	eventtypes "github.com/moby/moby/api/types/events"

	"github.com/pouchfx/pouchfx/modules/containers/logfile"
	"github.com/pouchfx/pouchfx/modules/containers/stdio"
)

// The states of a container, in Docker's words.
const (
	statusCreated    = container.StateCreated
	statusRunning    = container.StateRunning
	statusPaused     = container.StatePaused
	statusRestarting = container.StateRestarting
	statusRemoving   = container.StateRemoving
	statusExited     = container.StateExited
)

// ctr is one container of the daemon. (The word itself is taken, by the package
// of Docker's wire types.)
type ctr struct {
	id string

	// op is held by what changes the container's life.
	op mutex
	// saving orders the writes of the record.
	saving sync.Mutex
	saved  atomic.Pointer[record]
	// explained tells that what plugins did is kept with the record.
	explained atomic.Bool

	waiters waiters
	looks   looks
	health  health
	log     *logfile.Log // nil with a driver that keeps nothing

	mu       sync.Mutex // guards what follows; nothing waits under it
	run      *run       // nil when it does not run
	last     *run       // the run that ended last, which may not be tidied away yet
	paused   bool
	removing bool
	pending  context.CancelFunc // ends the wait for a restart
	once     bool               // the run that ends next is not to be restarted nor removed
	hub      *stdio.Hub         // of the present run, or the next
	execs    map[string]*execution
}

func newCtr(id string, r *record, log *logfile.Log) *ctr {
	c := &ctr{id: id, op: newMutex(), log: log, hub: stdio.NewHub(), execs: make(map[string]*execution)}
	c.saved.Store(r)
	return c
}

// record returns the container's record as it was saved last.
func (c *ctr) record() *record { return c.saved.Load() }

// current returns the present run, nil when there is none.
func (c *ctr) current() *run {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.run
}

// outlet returns the hub of the present run, or the next.
func (c *ctr) outlet() *stdio.Hub {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.hub
}

// renewHub ends the present hub's clients and makes one for the next run.
func (c *ctr) renewHub() {
	c.mu.Lock()
	old := c.hub
	c.hub = stdio.NewHub()
	c.mu.Unlock()
	old.Close(flushLimit)
}

func (c *ctr) status() container.ContainerState {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch r := c.record(); {
	case c.removing:
		return statusRemoving
	case c.run != nil && c.paused:
		return statusPaused
	case c.run != nil:
		return statusRunning
	case c.pending != nil:
		return statusRestarting
	case r.State.FinishedAt.IsZero():
		return statusCreated
	}
	return statusExited
}

// cancelRestart ends the wait for a restart; it reports whether there was one.
func (c *ctr) cancelRestart() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.endPending()
}

// endPending is cancelRestart for those who hold c.mu.
func (c *ctr) endPending() bool {
	if c.pending == nil {
		return false
	}
	c.pending()
	c.pending = nil
	return true
}

// publish tells what happened to a container. extra are pairs.
func (s *Service) publish(c *ctr, action eventtypes.Action, extra ...string) {
	r := c.record()
	attributes := make(map[string]string, len(r.Config.Labels)+2+len(extra)/2)
	for k, v := range r.Config.Labels {
		attributes[k] = v
	}
	attributes["image"], attributes["name"] = r.Image, r.Name
	for i := 0; i+1 < len(extra); i += 2 {
		attributes[extra[i]] = extra[i+1]
	}
	s.Events.Container(action, c.id, attributes)
}
