package registry

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/pouchfx/pouchfx/modules/guard"
	"github.com/pouchfx/pouchfx/modules/registry/patch"
	"github.com/pouchfx/pouchfx/plugins"
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
	// Fields are JSON pointers of what was written; see patch.Difference.
	Fields []string `json:",omitempty"`
	// Omitted says why there is no patch although there are fields.
	Omitted string `json:",omitempty"`
	// Conflicts are the fields that a plugin before had written.
	Conflicts []Conflict `json:",omitempty"`
	// RuntimeHooks are those that PreStart asked for.
	RuntimeHooks []RuntimeHook `json:",omitempty"`
	// Error is why the hook failed or was skipped: what it changed was dropped.
	Error string `json:",omitempty"`
}

// Notable reports whether the hook did something.
func (c *Change) Notable() bool {
	return len(c.Patch)+len(c.Fields)+len(c.RuntimeHooks)+len(c.Conflicts) > 0 || c.Omitted != "" || c.Error != ""
}

// compare fills in how two values differ.
func compare[T any](c *Change, before, after T) error {
	return c.differ(patch.Values(before, after))
}

func (c *Change) differ(d patch.Difference, err error) error {
	c.Patch, c.Fields, c.Omitted = d.Patch, d.Fields, d.Omitted
	return err
}

// Operation is what hooks did for one thing that was asked of the daemon: a
// create, a start, an update. It may be used by several goroutines.
type Operation struct {
	mu      sync.Mutex
	changes []Change
	writes  []write
	undos   []undo
}

// undo is how a call of a hook that succeeded can be undone.
type undo struct {
	roster  *Roster
	reg     *plugins.Registration
	request plugins.Request
	call    func(context.Context) error
}

type operationKey struct{}

// Begin returns a context in which the chains record what they do, and where
// they record it.
func Begin(ctx context.Context) (context.Context, *Operation) {
	o := new(Operation)
	return context.WithValue(ctx, operationKey{}, o), o
}

func operationOf(ctx context.Context) *Operation {
	o, _ := ctx.Value(operationKey{}).(*Operation)
	return o
}

// Changes returns what the hooks did until now, in order.
func (o *Operation) Changes() []Change {
	o.mu.Lock()
	defer o.mu.Unlock()
	return slices.Clone(o.changes)
}

// Notable reports whether any hook did something.
func (o *Operation) Notable() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return slices.ContainsFunc(o.changes, func(c Change) bool { return c.Notable() })
}

func (o *Operation) record(c *Change, err error) {
	if err != nil {
		c.Error = err.Error()
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.changes == nil {
		o.changes = make([]Change, 0, 8) // one is large
	}
	o.changes = append(o.changes, *c)
}

// ran notes that a hook succeeded, and what undoes it.
func (o *Operation) ran(ctx context.Context, r *Roster, reg *plugins.Registration, call func(context.Context) error) {
	if call == nil {
		return
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	o.undos = append(o.undos, undo{r, reg, plugins.RequestFrom(ctx), call})
}

// Undo undoes, last one first, the PreCreate of those plugins that can (see
// plugins.CreateUndoer) and whose PreCreate succeeded in this operation, each
// once. All are tried, each within its plugin's timeout; the errors are logged
// and returned. ctx must outlive the request.
func (o *Operation) Undo(ctx context.Context) error {
	const hook = "UndoPreCreate"
	o.mu.Lock()
	undos := o.undos
	o.undos = nil
	o.mu.Unlock()
	var errs []error
	for _, u := range slices.Backward(undos) {
		ctx := plugins.WithRequest(ctx, u.request)
		observed, end := u.roster.observer.Begin(ctx, u.reg.Name, hook)
		_, err := guard.Call(observed, guard.Limits{Timeout: u.reg.Policy.Timeout}, u.call,
			func(ctx context.Context, call func(context.Context) error) (struct{}, error) {
				return struct{}{}, call(ctx)
			})
		end(outcomeOf(err), err)
		if err != nil {
			u.roster.report(ctx, u.reg, hook, err, false)
			err = fmt.Errorf("%w: what its PreCreate did may be left behind", hookError(u.reg, hook, err))
			u.roster.log.Error("cannot undo", append(about(ctx), zap.String("plugin", u.reg.Name), zap.Error(err))...)
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}
