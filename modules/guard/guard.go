// Package guard calls code that the daemon does not trust to come back: hooks
// of plugins, and the start and stop of modules. A guarded call cannot take
// the daemon down by a panic, and cannot keep it waiting.
package guard

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"time"
)

// Limits bound one call.
type Limits struct {
	// Timeout is how long the call may take.
	Timeout time.Duration
	// Grace is how much longer a call is waited for once its context has
	// ended, so that it can clean up and say why; 0 abandons it at once.
	Grace time.Duration
}

// ErrExited is the error of a call that ended its goroutine, as
// runtime.Goexit and testing.T.FailNow do.
var ErrExited = errors.New("its goroutine exited without returning")

// PanicError is the error of a call that panicked. Its text is one line; the
// stack is for the log.
type PanicError struct {
	Value any
	Stack []byte
}

func (e *PanicError) Error() string { return fmt.Sprintf("panic: %v", e.Value) }

// Unwrap returns what the code panicked with, when that was an error.
func (e *PanicError) Unwrap() error {
	err, _ := e.Value.(error)
	return err
}

type outcome[T any] struct {
	value T
	err   error
}

// Call calls f with arg in a goroutine of its own and with a context that ends
// at the timeout. A panic and an exit of the goroutine become errors. When the
// context ends first, f is abandoned: Call returns the cause of ctx, or an
// error that is context.DeadlineExceeded, and drops what f returns later. A
// ctx that has ended already is not called for. (arg is there so that a caller
// need not make a closure for each call.)
func Call[A, T any](ctx context.Context, l Limits, arg A, f func(context.Context, A) (T, error)) (T, error) {
	var none T
	if ctx.Err() != nil {
		return none, context.Cause(ctx)
	}
	bounded, cancel := context.WithTimeout(ctx, l.Timeout)
	defer cancel()
	done := make(chan outcome[T], 1)
	go run(bounded, arg, f, done)
	select {
	case o := <-done:
		return o.value, o.err
	case <-bounded.Done():
	}
	why := context.Cause(ctx)
	if why == nil {
		why = fmt.Errorf("no answer within %v: %w", l.Timeout, context.DeadlineExceeded)
	}
	if o, ok := wait(done, l.Grace); ok {
		if o.err == nil || errors.Is(o.err, why) {
			return o.value, o.err
		}
		if errors.Is(o.err, bounded.Err()) {
			return none, why
		}
		return none, fmt.Errorf("%w: %w", why, o.err)
	}
	return none, fmt.Errorf("abandoned: %w", why)
}

// wait gives a call whose context has ended a last chance.
func wait[T any](done <-chan outcome[T], grace time.Duration) (o outcome[T], ok bool) {
	timer := time.NewTimer(grace)
	defer timer.Stop()
	select {
	case o = <-done:
		return o, true
	case <-timer.C:
	}
	select {
	case o = <-done:
		return o, true
	default:
		return o, false
	}
}

func run[A, T any](ctx context.Context, arg A, f func(context.Context, A) (T, error), done chan<- outcome[T]) {
	o := outcome[T]{err: ErrExited}
	defer func() {
		if v := recover(); v != nil {
			o.err = &PanicError{Value: v, Stack: debug.Stack()}
		}
		done <- o
	}()
	o.value, o.err = f(ctx, arg)
}
