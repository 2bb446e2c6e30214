package registry

import (
	"context"
	"errors"
	"fmt"

	"go.uber.org/zap"

	"github.com/pouchfx/pouchfx/modules/guard"
	"github.com/pouchfx/pouchfx/plugins"
)

// chain is the plugins of one kind in their order.
type chain[P any] struct {
	links []link[P]
	log   *zap.Logger
}

// link is one plugin of a chain.
type link[P any] struct {
	*member
	plugin P
}

// job is one hook of one plugin with what it works on.
type job[P, A any] struct {
	plugin P
	arg    A
	hook   func(context.Context, P, A) (A, error)
}

func do[P, A any](ctx context.Context, j job[P, A]) (A, error) { return j.hook(ctx, j.plugin, j.arg) }

// run hands arg from plugin to plugin and returns what the last one left. Each
// gets a copy; what copying does not reach, hook must not let it change. At a
// failure run returns arg as it was before the plugin, and the error, unless
// the plugin's policy is to ignore it.
func run[P, A any](
	ctx context.Context, c *chain[P], name string, arg A, copy func(A) A,
	hook func(context.Context, P, A) (A, error),
) (A, error) {
	call := do[P, A]
	for i := range c.links {
		l := &c.links[i]
		if l.failure() != nil {
			continue
		}
		after, err := guard.Call(ctx, guard.Limits{Timeout: l.reg.Policy.Timeout},
			job[P, A]{l.plugin, copy(arg), hook}, call)
		if err == nil {
			arg = after
			continue
		}
		ignored := l.reg.Policy.OnError == plugins.Ignore && ctx.Err() == nil
		report(c.log, l.reg, name, err, ignored)
		if !ignored {
			return arg, hookError(l.reg, name, err)
		}
	}
	return arg, nil
}

// hookError names plugin and hook and keeps the error's class.
func hookError(r *plugins.Registration, hook string, err error) error {
	return fmt.Errorf("plugin %q: %s: %w", r.Name, hook, err)
}

// report logs what the caller does not get to see: the stack of a panic, and
// a failure that is ignored.
func report(log *zap.Logger, r *plugins.Registration, hook string, err error, ignored bool) {
	fields := []zap.Field{zap.String("plugin", r.Name), zap.String("hook", hook), zap.Error(err)}
	var p *guard.PanicError
	if errors.As(err, &p) {
		log.Error("plugin panicked", append(fields, zap.ByteString("stack", p.Stack))...)
	}
	if ignored {
		log.Warn("plugin failed: its changes are dropped and the chain goes on", fields...)
	}
}
