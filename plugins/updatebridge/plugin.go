// Package updatebridge lets a client that speaks an older orchestrator's words
// update containers: it rewrites the bodies of updates by rules, and leaves a
// container's variables where its process finds them while it runs.
package updatebridge

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/containerd/errdefs"

	"github.com/pouchfx/pouchfx/plugins"
	"github.com/pouchfx/pouchfx/plugins/limit"
	"github.com/pouchfx/pouchfx/plugins/when"
)

// Module makes the plugin part of a daemon that configures it.
var Module = plugins.Provide("updatebridge", New, plugins.WhenConfigured(), plugins.Defaults(Config{EnvFile: EnvFile{Mode: 0o600}}))

// Plugin applies the rules. Hooks that it does not need are those of the base.
type Plugin struct {
	plugins.ContainerBase
	rules  []rule
	bounds []bound
	file   EnvFile
}

// rule is a Rule made ready.
type rule struct {
	*Rule
	key, newName key   // of one that renames or drops
	set          key   // of one that takes
	rivals       []key // which say the same as set in another way
}

// bound is a rule that clamps.
type bound struct {
	*Rule
	key  key
	most int64
}

// New returns the plugin.
func New(c Config) (*Plugin, error) {
	p := &Plugin{file: c.EnvFile}
	for i := range c.Rules {
		r := &c.Rules[i]
		if r.Clamp.IsZero() {
			p.rules = append(p.rules, ready(r))
			continue
		}
		most, err := r.most()
		if err != nil {
			return nil, fmt.Errorf("rules[%d]: %w", i, err)
		}
		p.bounds = append(p.bounds, bound{r, newKey(r.Clamp.Key()), most})
	}
	return p, nil
}

func ready(r *Rule) rule {
	made := rule{Rule: r, key: newKey(r.Key), newName: newKey(r.Rename)}
	if r.Set.IsZero() {
		return made
	}
	made.set = newKey(r.Set.Key())
	for _, rival := range r.Set.Rivals() {
		made.rivals = append(made.rivals, newKey(rival))
	}
	return made
}

// maxBody bounds the body of an update, in bytes.
const maxBody = 4 << 20

// PreUpdate rewrites the body of an update. What no rule is for comes out as it
// came in, byte for byte.
func (p *Plugin) PreUpdate(ctx context.Context, r io.ReadCloser) (io.ReadCloser, error) {
	if len(p.rules)+len(p.bounds) == 0 {
		return r, nil
	}
	text, err := io.ReadAll(io.LimitReader(r, maxBody+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("cannot read the update: %w", err)
	case len(text) > maxBody:
		return nil, invalid("the update is larger than %d bytes", maxBody)
	}
	b, err := readBody(text)
	if err != nil {
		return nil, err
	}
	if err := p.rewrite(b, when.Asked(ctx)); err != nil {
		return nil, err
	}
	if b.changed {
		if text, err = b.text(); err != nil {
			return nil, err
		}
	}
	return io.NopCloser(bytes.NewReader(text)), nil
}

// rewrite applies the rules in their order, and bounds what they leave. Those
// that take variables and labels see all that the client sent.
func (p *Plugin) rewrite(b *body, about when.Object) error {
	var variables, labels []string // to be removed
	for i := range p.rules {
		r := &p.rules[i]
		if !r.When.Matches(about) {
			continue
		}
		switch {
		case r.Drop:
			b.remove(r.key)
		case r.Rename != "":
			b.rename(r)
		default:
			taken, err := b.take(r)
			if err != nil {
				return err
			}
			if taken && r.Remove && r.Env != "" {
				variables = append(variables, r.Env)
			} else if taken && r.Remove {
				labels = append(labels, r.Label)
			}
		}
	}
	if err := errors.Join(b.without(envKey, variables), b.without(labelKey, labels)); err != nil {
		return err
	}
	for _, bound := range p.bounds {
		if bound.When.Matches(about) {
			b.clamp(bound.key, bound.most)
		}
	}
	return nil
}

// take sets a field to what a variable or label says, and reports whether there
// is one.
func (b *body) take(r *rule) (taken bool, err error) {
	from, name := envKey, r.Env
	if name == "" {
		from, name = labelKey, r.Label
	}
	list, err := b.list(from)
	if err != nil {
		return false, err
	}
	value, ok := limit.Last(list, name)
	if !ok || value == "" { // empty is how templates say nothing
		return ok, nil
	}
	text, err := r.Set.JSON(value)
	if err != nil {
		return false, r.Refuse(value, err)
	}
	asked := b.has(r.set)
	for _, rival := range r.rivals {
		asked = asked || b.has(rival)
	}
	if asked && !r.Override {
		return true, nil
	}
	for _, rival := range r.rivals {
		b.remove(rival)
	}
	b.put(r.set, text)
	return true, nil
}

// PostUpdate writes the variables into the container.
func (p *Plugin) PostUpdate(_ context.Context, rootfs string, env []string) error {
	if p.file.Path == "" {
		return nil
	}
	if err := p.file.write(rootfs, env); err != nil {
		return fmt.Errorf("cannot write the variables to %s in the container: %w", p.file.Path, err)
	}
	return nil
}

func invalid(format string, args ...any) error {
	return errdefs.ErrInvalidArgument.WithMessage(fmt.Sprintf(format, args...))
}
