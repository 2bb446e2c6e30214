package app

import (
	"context"
	"errors"
	"fmt"
	"path"
	"reflect"
	"runtime"
	"strings"
	"time"

	"go.uber.org/fx"
	"go.uber.org/zap"

	"github.com/pouchfx/pouchfx/modules/guard"
	"github.com/pouchfx/pouchfx/modules/lifecycle"
)

// grace is how long a hook has to clean up and say why once its context has
// ended; then it is abandoned, and what is left runs beside the stop.
const grace = time.Second

// bounded is the lifecycle of all modules: each hook has a deadline of its
// own, panics become errors, and a hook that does not answer is abandoned. A
// start hook's context ends when the daemon is told to stop, a stop hook's
// does not; both end when the hook returns, so that what a hook leaves running
// needs a context of its own.
type bounded struct {
	fx.Lifecycle
	life        context.Context
	start, stop time.Duration
	timeline    *lifecycle.Timeline
	log         *zap.Logger
}

// Append puts the guarded hook on the lifecycle.
func (b *bounded) Append(h fx.Hook) {
	module := "unknown"
	if pc, _, _, ok := runtime.Caller(1); ok {
		module, _, _ = strings.Cut(shortName(pc), ".")
	}
	var guarded fx.Hook
	if h.OnStart != nil {
		guarded.OnStart = func(context.Context) error {
			return b.call(b.life, lifecycle.Start, module, b.start, h.OnStart)
		}
	}
	if h.OnStop != nil {
		guarded.OnStop = func(ctx context.Context) error {
			return b.call(ctx, lifecycle.Stop, module, b.stop, h.OnStop)
		}
	}
	b.Lifecycle.Append(guarded)
}

func (b *bounded) call(
	ctx context.Context, phase lifecycle.Phase, module string, timeout time.Duration, hook func(context.Context) error,
) error {
	name := shortName(reflect.ValueOf(hook).Pointer())
	label := new(lifecycle.Name)
	begin := time.Now()
	_, err := guard.Call(lifecycle.WithLabel(ctx, label), guard.Limits{Timeout: timeout, Grace: grace}, hook,
		func(ctx context.Context, hook func(context.Context) error) (struct{}, error) {
			return struct{}{}, hook(ctx)
		})

	entry := lifecycle.Entry{Phase: phase, Module: module, Name: name, Took: time.Since(begin)}
	if s := label.Get(); s != "" {
		entry.Name = s
	}
	if err != nil {
		entry.Error = err.Error()
		var p *guard.PanicError
		if errors.As(err, &p) {
			b.log.Error("hook panicked", zap.String("hook", name), zap.Error(err), zap.ByteString("stack", p.Stack))
		}
		err = fmt.Errorf("%s: %w", name, err)
	}
	b.timeline.Record(entry)
	b.log.Debug("hook ended", zap.String("phase", string(phase)), zap.String("hook", entry.Name),
		zap.Duration("duration", entry.Took), zap.Error(err))
	return err
}

// shortName is the name of a function with the last element of its package's
// path: "store.(*Store).Start".
func shortName(pc uintptr) string {
	f := runtime.FuncForPC(pc)
	if f == nil {
		return "unknown"
	}
	return strings.TrimSuffix(path.Base(f.Name()), "-fm")
}
