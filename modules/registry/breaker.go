package registry

import (
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/containerd/errdefs"
	"github.com/sony/gobreaker/v2"
	"go.uber.org/zap"

	"github.com/pouchfx/pouchfx/plugins"
)

// breaker skips a plugin whose failures are ignored, for a while after they
// came in a row. The zero breaker never does.
type breaker struct {
	circuit *gobreaker.TwoStepCircuitBreaker[struct{}]

	mu    sync.Mutex
	until time.Time // when it is to be tried again
}

// BreakerInfo is the state of a plugin's circuit breaker.
type BreakerInfo struct {
	// State is closed (hooks are called), open (they are skipped), or
	// half-open (one call is to find out).
	State string `json:"state"`
	// Failures is how many came in a row.
	Failures uint32 `json:"failures"`
	// Until is when an open one lets a call through.
	Until time.Time `json:"until,omitzero"`
}

// errSkipped is the error of a call that was not made.
var errSkipped = errdefs.ErrUnavailable.WithMessage("skipped")

// errOfCaller marks a failure that says nothing of the plugin.
var errOfCaller = errors.New("the caller has gone")

func newBreaker(reg *plugins.Registration, log *zap.Logger) *breaker {
	b := new(breaker)
	policy := reg.Policy.Breaker
	if reg.Policy.OnError != plugins.Ignore || policy.Failures == 0 {
		return b
	}
	b.circuit = gobreaker.NewTwoStepCircuitBreaker[struct{}](gobreaker.Settings{
		Name:        reg.Name,
		Timeout:     policy.Cooldown,
		ReadyToTrip: func(c gobreaker.Counts) bool { return c.ConsecutiveFailures >= policy.Failures },
		IsExcluded:  func(err error) bool { return errors.Is(err, errOfCaller) },
		OnStateChange: func(name string, _, to gobreaker.State) {
			plugin := zap.String("plugin", name)
			switch to {
			case gobreaker.StateOpen:
				b.mu.Lock()
				b.until = time.Now().Add(policy.Cooldown)
				b.mu.Unlock()
				log.Error("plugin keeps failing: it is skipped for a while", plugin, zap.Duration("duration", policy.Cooldown))
			case gobreaker.StateHalfOpen:
				log.Info("plugin is tried again", plugin)
			case gobreaker.StateClosed:
				log.Info("plugin works again", plugin)
			}
		},
	})
	return b
}

// allow asks to call a hook; done must be told how that went.
func (b *breaker) allow() (done func(error), err error) {
	if b.circuit == nil {
		return func(error) {}, nil
	}
	done, err = b.circuit.Allow()
	if err != nil {
		b.mu.Lock()
		defer b.mu.Unlock()
		return nil, fmt.Errorf("%w until %s: it kept failing", errSkipped, b.until.Format(time.RFC3339))
	}
	return done, nil
}

// info describes the breaker; nil for a plugin without one.
func (b *breaker) info() *BreakerInfo {
	if b.circuit == nil {
		return nil
	}
	state := b.circuit.State()
	i := &BreakerInfo{State: state.String(), Failures: b.circuit.Counts().ConsecutiveFailures}
	if state == gobreaker.StateOpen {
		b.mu.Lock()
		i.Until, i.Failures = b.until, 0
		b.mu.Unlock()
	}
	return i
}
