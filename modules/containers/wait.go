package containers

import (
	"context"
	"sync"

	"github.com/moby/moby/api/types/container"
)

// waiters are those who wait for a container's end. The zero value is ready.
type waiters struct {
	mu  sync.Mutex
	set map[*waiter]struct{}
}

type waiter struct {
	removed bool // waits for the removal, not for the end
	answer  chan container.WaitResponse
}

func (w *waiters) add(removed bool) *waiter {
	one := &waiter{removed: removed, answer: make(chan container.WaitResponse, 1)}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.set == nil {
		w.set = make(map[*waiter]struct{})
	}
	w.set[one] = struct{}{}
	return one
}

// drop ends a waiter without an answer.
func (w *waiters) drop(one *waiter) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if _, ok := w.set[one]; ok {
		delete(w.set, one)
		close(one.answer)
	}
}

// answer gives the status to those who wait for the end and, when the
// container is removed, to all.
func (w *waiters) answer(status int, removed bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for one := range w.set {
		if removed || !one.removed {
			one.answer <- container.WaitResponse{StatusCode: int64(status)}
			close(one.answer)
			delete(w.set, one)
		}
	}
}

// closeAll ends all waiters without an answer.
func (w *waiters) closeAll() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for one := range w.set {
		close(one.answer)
	}
	w.set = nil
}

// Wait answers when the container has met the condition: not-running (the
// default) at once unless it runs, next-exit when it ends the next time,
// removed when it is gone. The waiter is registered when Wait returns. The
// channel gets one answer, or is closed without when ctx or the daemon ends.
func (s *Service) Wait(ctx context.Context, name string, cond container.WaitCondition) (<-chan container.WaitResponse, error) {
	c, err := s.index.get(name)
	if err != nil {
		return nil, err
	}
	switch cond {
	case "", container.WaitConditionNotRunning, container.WaitConditionNextExit, container.WaitConditionRemoved:
	default:
		return nil, invalid("invalid condition: %q", cond)
	}
	one := c.waiters.add(cond == container.WaitConditionRemoved)
	if cond == "" || cond == container.WaitConditionNotRunning {
		// Asked after registering: an end in between is not missed.
		if st := c.status(); st != statusRunning && st != statusPaused && st != statusRestarting {
			c.waiters.drop(one)
			answer := make(chan container.WaitResponse, 1)
			answer <- container.WaitResponse{StatusCode: int64(c.record().State.ExitCode)}
			return answer, nil
		}
	}
	if _, err := s.index.get(c.id); err != nil { // removed in between
		c.waiters.answer(c.record().State.ExitCode, true)
	}
	context.AfterFunc(ctx, func() { c.waiters.drop(one) })
	return one.answer, nil
}
