package lifecycle

import (
	"context"
	"fmt"
	"io"
	"slices"
	"sync"
	"text/tabwriter"
	"time"
)

// Phase is a part of the daemon's life.
type Phase string

// The phases, in their order.
const (
	Construct Phase = "construct"
	Start     Phase = "start"
	Stop      Phase = "stop"
)

// Entry is one constructor or hook that ran.
type Entry struct {
	Phase Phase `json:"phase"`
	// Module is the fx module of a constructor, and the package that appended a hook.
	Module string `json:"module,omitempty"`
	// Name is the function, or what it called itself with Label.
	Name string `json:"name"`
	// At is when it began, since the timeline did. Constructors report their
	// end only, so that theirs is computed.
	At time.Duration `json:"at"`
	// Took is how long it ran; a constructor's without those it needed.
	Took time.Duration `json:"took"`
	// Error is why it failed.
	Error string `json:"error,omitempty"`
}

// Timeline records what ran while the daemon started and stopped.
type Timeline struct {
	begin time.Time

	mu      sync.Mutex
	entries []Entry
}

// NewTimeline begins a timeline.
func NewTimeline() *Timeline { return &Timeline{begin: time.Now()} }

// Age is how long ago the timeline began.
func (t *Timeline) Age() time.Duration { return time.Since(t.begin) }

// Entries returns what has run so far, in the order of ending.
func (t *Timeline) Entries() []Entry {
	t.mu.Lock()
	defer t.mu.Unlock()
	return slices.Clone(t.entries)
}

// Record adds an entry that has just ended. It sets At.
func (t *Timeline) Record(e Entry) {
	e.At = max(0, t.Age()-e.Took)
	t.mu.Lock()
	defer t.mu.Unlock()
	t.entries = append(t.entries, e)
}

// Write prints the entries of the given phases, one line each; all when none is given.
func (t *Timeline) Write(w io.Writer, phases ...Phase) error {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, e := range t.Entries() {
		if len(phases) > 0 && !slices.Contains(phases, e.Phase) {
			continue
		}
		fmt.Fprintf(table, "%9.2fms\t%8.2fms\t%s\t%s\t%s\t%s\n", ms(e.At), ms(e.Took), e.Phase, e.Module, e.Name, e.Error)
	}
	return table.Flush()
}

func ms(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

type labelKey struct{}

// WithLabel returns a context on which Label sets name.
func WithLabel(ctx context.Context, name *Name) context.Context {
	return context.WithValue(ctx, labelKey{}, name)
}

// Name is what a hook calls itself; empty when it did not.
type Name struct {
	mu   sync.Mutex
	name string
}

// Get returns the name.
func (n *Name) Get() string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.name
}

// Label names the hook that has ctx on the timeline, for hooks that share one
// function.
func Label(ctx context.Context, name string) {
	if n, ok := ctx.Value(labelKey{}).(*Name); ok {
		n.mu.Lock()
		defer n.mu.Unlock()
		n.name = name
	}
}
