package containers

import (
	"context"
	"fmt"
)

// mutex is a lock that one can stop waiting for.
type mutex chan struct{}

func newMutex() mutex { return make(mutex, 1) }

// lock waits for the lock until ctx ends.
func (m mutex) lock(ctx context.Context) error {
	select {
	case m <- struct{}{}:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("another operation on this container has not ended: %w", ctx.Err())
	}
}

func (m mutex) unlock() { <-m }
