// Package guard calls code that the daemon does not trust to come back: hooks
// of plugins, and the start and stop of modules. A guarded call cannot take
// the daemon down by a panic, and cannot keep it waiting.
package guard

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"sync/atomic"
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
	c := &call[A, T]{arg: arg, f: f, err: ErrExited, end: cancel}
	if l.Grace > 0 {
		c.ended = make(chan struct{})
	}
	go c.run(bounded)
	<-bounded.Done()
	answered := c.returned.Load() || c.wait(l.Grace)
	if answered && (c.err == nil || !c.late) {
		return c.value, c.err
	}
	why := context.Cause(ctx)
	if why == nil {
		why = fmt.Errorf("no answer within %v: %w", l.Timeout, context.DeadlineExceeded)
	}
	switch {
	case !answered:
		return none, fmt.Errorf("abandoned: %w", why)
	case errors.Is(c.err, why):
		return none, c.err
	case errors.Is(c.err, context.Canceled), errors.Is(c.err, context.DeadlineExceeded):
		return none, why
	}
	return none, fmt.Errorf("%w: %w", why, c.err)
}

// call is one call under way. What became of f is there once returned is set.
type call[A, T any] struct {
	arg      A
	f        func(context.Context, A) (T, error)
	value    T
	err      error
	late     bool // f's context ended first
	returned atomic.Bool
	end      context.CancelFunc // ends f's context, which is what Call waits for
	ended    chan struct{}      // closed at the end; nil without a grace
}

func (c *call[A, T]) run(ctx context.Context) {
	defer func() {
		if v := recover(); v != nil {
			c.err = &PanicError{Value: v, Stack: debug.Stack()}
		}
		c.late = ctx.Err() != nil
		c.returned.Store(true)
		if c.ended != nil {
			close(c.ended)
		}
		c.end()
	}()
	c.value, c.err = c.f(ctx, c.arg)
}

// wait gives f, whose context has ended, a last chance.
func (c *call[A, T]) wait(grace time.Duration) bool {
	if c.ended == nil {
		return false
	}
	timer := time.NewTimer(grace)
	defer timer.Stop()
	select {
	case <-c.ended:
		return true
	case <-timer.C:
		return false
	}
}
