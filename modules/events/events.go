// Package events tells what happened in the daemon, in Docker's vocabulary.
//
// Modules publish; the API's clients, and modules that must react, subscribe.
// Publishing never waits: a bounded history keeps the newest events for those
// who ask later, and a subscriber that does not read is cut off.
package events

import (
	"maps"
	"sync"
	"time"

	"github.com/moby/moby/api/types/events"
)

const (
	// historySize is how many events are kept; dockerd keeps 256.
	historySize = 1024
	// queueSize is how many events wait for a subscriber before it is cut off.
	queueSize = 1024
)

// Bus passes events from publishers to subscribers. Its methods may be called
// at the same time.
type Bus struct {
	mu          sync.Mutex
	history     []events.Message // a ring once it is full
	next        int              // where the ring's oldest event is
	subscribers map[chan events.Message]struct{}
}

// New returns a bus without history.
func New() *Bus { return &Bus{subscribers: make(map[chan events.Message]struct{})} }

// Publish records an event and passes it on. It fills Scope, and Time and
// TimeNano unless they are set; it copies the attributes.
func (b *Bus) Publish(m events.Message) {
	m.Actor.Attributes = maps.Clone(m.Actor.Attributes)
	if m.Scope == "" {
		m.Scope = "local"
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if m.TimeNano == 0 { // under the lock, so that the history is in the order of time
		now := time.Now()
		m.Time, m.TimeNano = now.Unix(), now.UnixNano()
	}
	if len(b.history) < historySize {
		b.history = append(b.history, m)
	} else {
		b.history[b.next] = m
		b.next = (b.next + 1) % historySize
	}
	for queue := range b.subscribers {
		select {
		case queue <- m:
		default:
			b.drop(queue)
		}
	}
}

// Subscribe returns the recorded events from since to until and a channel of
// those that follow. A zero since means no past; a zero until means no end.
//
// The channel is closed at until, when the subscriber reads too slowly, and
// by cancel, which must be called and may be called twice. The attributes of
// a message are shared: they must not be changed.
func (b *Bus) Subscribe(since, until time.Time) (past []events.Message, live <-chan events.Message, cancel func()) {
	queue := make(chan events.Message, queueSize)
	b.mu.Lock()
	defer b.mu.Unlock()
	if !since.IsZero() {
		past = b.between(since, until)
	}
	b.subscribers[queue] = struct{}{}
	end := func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.drop(queue)
	}
	if until.IsZero() {
		return past, queue, end
	}
	left := time.Until(until)
	if left <= 0 {
		b.drop(queue)
		return past, queue, end
	}
	timer := time.AfterFunc(left, end)
	return past, queue, func() { timer.Stop(); end() }
}

// drop ends a subscription. The caller holds the lock.
func (b *Bus) drop(queue chan events.Message) {
	if _, ok := b.subscribers[queue]; ok {
		delete(b.subscribers, queue)
		close(queue)
	}
}

// between returns the recorded events of a span of time, oldest first.
func (b *Bus) between(since, until time.Time) []events.Message {
	var found []events.Message
	for i := range b.history {
		m := b.history[(b.next+i)%len(b.history)]
		at := time.Unix(0, m.TimeNano)
		if !at.Before(since) && (until.IsZero() || !at.After(until)) {
			found = append(found, m)
		}
	}
	return found
}

// Container publishes what happened to a container. By Docker's custom the
// attributes hold its name, its image and its labels.
func (b *Bus) Container(action events.Action, id string, attributes map[string]string) {
	b.publish(events.ContainerEventType, action, id, attributes)
}

// Image publishes what happened to an image, which is named by reference or
// id; the attribute "name" holds the reference.
func (b *Bus) Image(action events.Action, id string, attributes map[string]string) {
	b.publish(events.ImageEventType, action, id, attributes)
}

// Volume publishes what happened to a volume; the attribute "driver" holds
// its driver.
func (b *Bus) Volume(action events.Action, id string, attributes map[string]string) {
	b.publish(events.VolumeEventType, action, id, attributes)
}

func (b *Bus) publish(kind events.Type, action events.Action, id string, attributes map[string]string) {
	b.Publish(events.Message{Type: kind, Action: action, Actor: events.Actor{ID: id, Attributes: attributes}})
}
