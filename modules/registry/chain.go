package registry

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.uber.org/zap"

	"github.com/pouchfx/pouchfx/modules/guard"
	"github.com/pouchfx/pouchfx/plugins"
)

// chain is the plugins of one kind in their order.
type chain[P any] struct {
	links  []link[P]
	roster *Roster
}

// link is one plugin of a chain.
type link[P any] struct {
	*member
	plugin P
}

// hook is one of the eleven, for plugins of an interface P and what it hands
// from one to the next.
type hook[P, A any] struct {
	name string
	// copy makes what a plugin gets. What it does not reach, call must not let
	// the plugin change.
	copy func(A) A
	// call calls the plugin and returns what it left.
	call func(context.Context, P, A) (A, error)
	// document is what the hook changes; hooks with the same one write the
	// same fields. subject says which of several. Hooks that change nothing
	// have none.
	document, subject string
	// describe tells how what a plugin left differs from what it got.
	describe func(c *Change, before, after A) error
	// undo, if not nil, returns what undoes the call; nil when nothing does.
	undo func(plugin P, after A) func(context.Context) error
}

// job is one call.
type job[P, A any] struct {
	plugin P
	arg    A
	call   func(context.Context, P, A) (A, error)
}

func do[P, A any](ctx context.Context, j job[P, A]) (A, error) { return j.call(ctx, j.plugin, j.arg) }

// run hands arg from plugin to plugin and returns what the last one left. Each
// gets a copy. At a failure run returns arg as it was before the plugin, and
// the error, unless the plugin's policy is to ignore it. What each did is
// recorded on the operation of ctx, where there is one.
func run[P, A any](ctx context.Context, c *chain[P], h hook[P, A], arg A) (A, error) {
	operation := operationOf(ctx)
	call := do[P, A] // once: it is a closure
	for i := range c.links {
		l := &c.links[i]
		if l.failure() != nil {
			continue
		}
		begun := time.Now()
		after, err := guarded(ctx, c.roster, l.member, h.name, job[P, A]{l.plugin, h.copy(arg), h.call}, call)
		if operation != nil {
			if err == nil && h.undo != nil {
				operation.ran(ctx, c.roster, l.reg, h.undo(l.plugin, after))
			}
			if h.describe != nil {
				change := Change{Plugin: l.reg.Name, Hook: h.name, Subject: h.subject, At: begun, Duration: time.Since(begun)}
				if err == nil {
					describe(h.describe, &change, arg, after)
					err = c.roster.conflicts(ctx, operation, l.reg, h.document, &change)
				}
				operation.record(&change, err)
			}
		}
		if err == nil {
			arg = after
			continue
		}
		ignored := l.reg.Policy.OnError == plugins.Ignore && ctx.Err() == nil
		c.roster.report(ctx, l.reg, h.name, err, ignored)
		if !ignored {
			return arg, hookError(l.reg, h.name, err)
		}
	}
	return arg, nil
}

// guarded calls a hook of a plugin within its timeout, if its breaker allows,
// and observes it.
func guarded[A, T any](ctx context.Context, r *Roster, m *member, name string, arg A, f func(context.Context, A) (T, error)) (T, error) {
	var none T
	observed, end := r.observer.Begin(ctx, m.reg.Name, name)
	done, err := m.breaker.allow()
	if err != nil {
		end(Skipped, err)
		return none, err
	}
	result, err := guard.Call(observed, guard.Limits{Timeout: m.reg.Policy.Timeout}, arg, f)
	if err != nil && ctx.Err() != nil {
		done(errOfCaller)
	} else {
		done(err)
	}
	end(outcomeOf(err), err)
	return result, err
}

// describe compares what a plugin got and left, which may hold types of its
// own with methods of its own.
func describe[A any](f func(*Change, A, A) error, c *Change, before, after A) {
	defer func() {
		if v := recover(); v != nil {
			c.Omitted = fmt.Sprintf("it cannot be shown: panic: %v", v)
		}
	}()
	if err := f(c, before, after); err != nil {
		c.Omitted = fmt.Sprintf("it cannot be shown: %v", err)
	}
}

// hookError names plugin and hook and keeps the error's class.
func hookError(r *plugins.Registration, hook string, err error) error {
	return fmt.Errorf("plugin %q: %s: %w", r.Name, hook, err)
}

// report logs what the caller does not get to see: the stack of a panic, and
// a failure that is ignored. Calls that a breaker skips are not: it said so.
func (r *Roster) report(ctx context.Context, reg *plugins.Registration, hook string, err error, ignored bool) {
	fields := append(about(ctx), zap.String("plugin", reg.Name), zap.String("hook", hook), zap.Error(err))
	var p *guard.PanicError
	if errors.As(err, &p) {
		r.log.Error("plugin panicked", append(fields, zap.ByteString("stack", p.Stack))...)
	}
	if ignored && !errors.Is(err, errSkipped) {
		r.log.Warn("plugin failed: its changes are dropped and the chain goes on", fields...)
	}
}

// about says in the log what a request is about.
func about(ctx context.Context) (fields []zap.Field) {
	request := plugins.RequestFrom(ctx)
	if request.Name != "" {
		fields = append(fields, zap.String("name", request.Name))
	}
	if request.ID != "" {
		fields = append(fields, zap.String("container", request.ID))
	}
	if request.DryRun {
		fields = append(fields, zap.Bool("dryRun", true))
	}
	return fields
}
