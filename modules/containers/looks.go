package containers

import (
	"context"
	"sync"
	"time"
)

// looks are those who have the files of a run open. They hold its root
// filesystem's mount, and the next start mounts the same again: the kernel does
// not promise what becomes of two. The zero value is ready.
type looks struct {
	mu   sync.Mutex
	open map[*look]struct{}
}

type look struct {
	cancel context.CancelFunc
	gone   chan struct{}
}

// begin returns a context that ends when the next start can wait no longer.
// done must be called.
func (l *looks) begin(ctx context.Context) (_ context.Context, done func()) {
	one := &look{gone: make(chan struct{})}
	ctx, one.cancel = context.WithCancel(ctx)
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.open == nil {
		l.open = make(map[*look]struct{})
	}
	l.open[one] = struct{}{}
	return ctx, func() {
		l.mu.Lock()
		delete(l.open, one)
		l.mu.Unlock()
		one.cancel()
		close(one.gone)
	}
}

// end waits until nobody looks. Who still does after the patience is told to
// end, and after as long again not waited for: a client may not take what it
// asked for.
func (l *looks) end(ctx context.Context, patience time.Duration) {
	l.mu.Lock()
	var all []*look
	for one := range l.open {
		all = append(all, one)
	}
	l.mu.Unlock()
	if len(all) == 0 {
		return
	}
	patient, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	if waitForAll(patient, all) {
		return
	}
	for _, one := range all {
		one.cancel()
	}
	again, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	waitForAll(again, all)
}

func waitForAll(ctx context.Context, all []*look) bool {
	for _, one := range all {
		select {
		case <-one.gone:
		case <-ctx.Done():
			return false
		}
	}
	return true
}
