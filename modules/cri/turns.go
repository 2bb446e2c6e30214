package cri

import (
	"context"
	"fmt"
	"sync"
)

// turns lets those who want to change the same container do it one after the
// other. The zero value is ready.
type turns struct {
	mu    sync.Mutex
	taken map[string]*turn
}

type turn struct {
	token   chan struct{}
	waiting int
}

// take waits for the turn of id, until ctx ends, and returns what ends it.
func (t *turns) take(ctx context.Context, id string) (done func(), err error) {
	t.mu.Lock()
	if t.taken == nil {
		t.taken = map[string]*turn{}
	}
	mine := t.taken[id]
	if mine == nil {
		mine = &turn{token: make(chan struct{}, 1)}
		t.taken[id] = mine
	}
	mine.waiting++
	t.mu.Unlock()

	leave := func() {
		t.mu.Lock()
		defer t.mu.Unlock()
		if mine.waiting--; mine.waiting == 0 {
			delete(t.taken, id)
		}
	}
	select {
	case mine.token <- struct{}{}:
		return func() { <-mine.token; leave() }, nil
	case <-ctx.Done():
		leave()
		return nil, fmt.Errorf("another operation on container %s has not ended: %w", id, ctx.Err())
	}
}
