package registry

import (
	"context"
	"fmt"
	"slices"

	"github.com/containerd/errdefs"
	"go.uber.org/zap"

	"github.com/pouchfx/pouchfx/modules/registry/patch"
	"github.com/pouchfx/pouchfx/plugins"
)

// Conflict is a field that two plugins wrote.
type Conflict struct {
	Field string
	// With is the plugin that wrote it before.
	With string
}

// write is a field that a plugin wrote.
type write struct {
	document, subject string
	field             string
	by                *plugins.Registration
}

// conflicts compares what a hook wrote with what plugins before it wrote to the
// same document, and notes it in change. It returns an error if the hook must
// not do that.
func (r *Roster) conflicts(ctx context.Context, o *Operation, reg *plugins.Registration, document string, change *Change) error {
	o.mu.Lock()
	for _, field := range change.Fields {
		for _, w := range o.writes {
			c := Conflict{Field: field, With: w.by.Name}
			if w.by != reg && w.document == document && w.subject == change.Subject && patch.Overlap(w.field, field) &&
				!overrides(reg, w.by) && !slices.Contains(change.Conflicts, c) {
				change.Conflicts = append(change.Conflicts, c)
			}
		}
	}
	refused := len(change.Conflicts) > 0 && r.settings.Conflicts(change.Hook) == plugins.Refuse
	if !refused {
		for _, field := range change.Fields {
			o.writes = append(o.writes, write{document, change.Subject, field, reg})
		}
	}
	o.mu.Unlock()
	for _, c := range change.Conflicts {
		r.observer.Conflict(ctx, reg.Name, change.Hook, c.With, c.Field)
		r.log.Warn("two plugins write one field", append(about(ctx), zap.String("plugin", reg.Name), zap.String("hook", change.Hook),
			zap.String("with", c.With), zap.String("field", c.Field), zap.Bool("refused", refused))...)
	}
	if !refused {
		return nil
	}
	c := change.Conflicts[0]
	return errdefs.ErrConflict.WithMessage(fmt.Sprintf(
		"it writes %s, which plugin %q has written: if it may, put %q into the list after of its policy; else change one of the two", c.Field, c.With, c.With))
}

// overrides reports whether a plugin declares that it comes after another, or
// that one before it.
func overrides(reg, other *plugins.Registration) bool {
	return slices.Contains(reg.Policy.After, other.Name) || slices.Contains(other.Policy.Before, reg.Name)
}
