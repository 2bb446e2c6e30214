package guard_test

import (
	"context"
	"errors"
	"io"
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/pouchfx/pouchfx/modules/guard"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var patient = guard.Limits{Timeout: time.Minute}

func TestCallReturnsWhatTheCallReturns(t *testing.T) {
	v, err := guard.Call(t.Context(), patient, 0, func(context.Context, int) (int, error) { return 7, io.EOF })
	assert.Equal(t, 7, v)
	assert.Equal(t, io.EOF, err)
}

func TestPanicBecomesAnErrorWithItsStack(t *testing.T) {
	_, err := guard.Call(t.Context(), patient, 0, func(context.Context, int) (int, error) { panic(io.ErrClosedPipe) })
	var p *guard.PanicError
	require.ErrorAs(t, err, &p)
	assert.Equal(t, "panic: io: read/write on closed pipe", err.Error())
	assert.Contains(t, string(p.Stack), "TestPanicBecomesAnErrorWithItsStack")
	assert.ErrorIs(t, err, io.ErrClosedPipe, "an error that was panicked with keeps its class")
}

func TestGoexitBecomesAnError(t *testing.T) {
	_, err := guard.Call(t.Context(), patient, 0, func(context.Context, int) (int, error) { runtime.Goexit(); return 0, nil })
	assert.ErrorIs(t, err, guard.ErrExited)
}

func TestACallThatIgnoresItsContextIsAbandoned(t *testing.T) {
	release := make(chan struct{})
	defer close(release)
	_, err := guard.Call(t.Context(), guard.Limits{Timeout: time.Millisecond}, 0, func(context.Context, int) (int, error) {
		<-release
		return 0, nil
	})
	assert.ErrorIs(t, err, context.DeadlineExceeded)
	assert.Equal(t, "abandoned: no answer within 1ms: context deadline exceeded", err.Error())
}

func TestACallThatHonoursItsContextSaysWhy(t *testing.T) {
	limits := guard.Limits{Timeout: time.Millisecond, Grace: time.Minute}
	_, err := guard.Call(t.Context(), limits, 0, func(ctx context.Context, _ int) (int, error) {
		<-ctx.Done()
		return 0, errors.New("dial: no route")
	})
	assert.ErrorIs(t, err, context.DeadlineExceeded)
	assert.ErrorContains(t, err, "no answer within 1ms: context deadline exceeded: dial: no route")
}

func TestACallThatSucceedsInItsGraceSucceeds(t *testing.T) {
	limits := guard.Limits{Timeout: time.Millisecond, Grace: time.Minute}
	v, err := guard.Call(t.Context(), limits, 0, func(ctx context.Context, _ int) (int, error) {
		<-ctx.Done()
		return 1, nil
	})
	require.NoError(t, err)
	assert.Equal(t, 1, v)
}

func TestTheCauseOfTheCallersCancellationIsTheError(t *testing.T) {
	cause := errors.New("told to stop")
	ctx, cancel := context.WithCancelCause(t.Context())
	limits := guard.Limits{Timeout: time.Minute, Grace: time.Minute}
	_, err := guard.Call(ctx, limits, 0, func(ctx context.Context, _ int) (int, error) {
		cancel(cause)
		<-ctx.Done()
		return 0, ctx.Err()
	})
	assert.Equal(t, cause, err)

	_, err = guard.Call(ctx, limits, 0, func(context.Context, int) (int, error) {
		t.Error("called although the caller has gone")
		return 0, nil
	})
	assert.Equal(t, cause, err)
}

func BenchmarkCall(b *testing.B) {
	f := func(context.Context, int) (int, error) { return 0, nil }
	b.ReportAllocs()
	for b.Loop() {
		_, _ = guard.Call(b.Context(), patient, 0, f)
	}
}
