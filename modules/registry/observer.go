package registry

import (
	"context"
	"errors"

	"github.com/pouchfx/pouchfx/modules/guard"
)

// Outcome is how a call of a hook ended.
type Outcome string

// The outcomes.
const (
	OK       Outcome = "ok"
	Error    Outcome = "error"
	Timeout  Outcome = "timeout"
	Panicked Outcome = "panic"
	// Skipped calls were not made: the plugin's circuit breaker is open.
	Skipped Outcome = "skipped"
)

// Observer is told of every call of a hook. Its methods are called by many
// goroutines at once, and in the way of every request.
type Observer interface {
	// Begin is told of a call before it is made. The hook gets the context
	// that Begin returns, and end is called once the call has ended.
	Begin(ctx context.Context, plugin, hook string) (_ context.Context, end func(Outcome, error))
	// Conflict is told that a hook wrote a field that the plugin with had
	// written.
	Conflict(ctx context.Context, plugin, hook, with, field string)
}

// nobody observes.
type nobody struct{}

func (nobody) Begin(ctx context.Context, _, _ string) (context.Context, func(Outcome, error)) {
	return ctx, func(Outcome, error) {}
}
func (nobody) Conflict(context.Context, string, string, string, string) {}

func outcomeOf(err error) Outcome {
	if err == nil {
		return OK
	}
	var p *guard.PanicError
	switch {
	case errors.As(err, &p):
		return Panicked
	case errors.Is(err, context.DeadlineExceeded):
		return Timeout
	}
	return Error
}
