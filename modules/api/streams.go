package api

import (
	"context"
	"errors"
	"io"
	"sync"
)

// streams are the answers that last as long as the client likes: they end
// when the server stops, instead of holding it up.
type streams struct {
	stopping context.Context
	stop     context.CancelFunc // ends the contexts of all streams

	mu    sync.Mutex
	open  map[io.Closer]struct{} // hijacked: http.Server knows them no longer
	empty chan struct{}          // closed when open is, nil unless somebody waits
}

func newStreams() *streams {
	s := &streams{open: make(map[io.Closer]struct{})}
	s.stopping, s.stop = context.WithCancel(context.Background())
	return s
}

// context returns one that ends with ctx and when the server stops.
func (s *streams) context(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	release := context.AfterFunc(s.stopping, cancel)
	return ctx, func() { release(); cancel() }
}

// add keeps a hijacked connection until remove.
func (s *streams) add(conn io.Closer) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.open[conn] = struct{}{}
}

func (s *streams) remove(conn io.Closer) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.open, conn)
	if len(s.open) == 0 && s.empty != nil {
		close(s.empty)
		s.empty = nil
	}
}

// wait waits until no hijacked connection is open.
func (s *streams) wait(ctx context.Context) error {
	s.mu.Lock()
	if len(s.open) == 0 {
		s.mu.Unlock()
		return nil
	}
	if s.empty == nil {
		s.empty = make(chan struct{})
	}
	empty := s.empty
	s.mu.Unlock()
	select {
	case <-empty:
		return nil
	case <-ctx.Done():
		return errors.New("attached clients did not end in time")
	}
}

// close closes the hijacked connections that are left.
func (s *streams) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for conn := range s.open {
		_ = conn.Close()
	}
}
