package stdio

import (
	"io"
	"sync"
)

// Stdin is a process's input, which clients may write to before the process
// is there.
type Stdin struct {
	mu      sync.Mutex
	pipe    io.WriteCloser
	closeIO func()        // tells the shim to let go of its end
	ready   chan struct{} // closed by Open
	closed  chan struct{} // closed by Close
}

func newStdin() *Stdin {
	return &Stdin{ready: make(chan struct{}), closed: make(chan struct{})}
}

// Open connects the process's end. closeIO is called once the input has ended.
func (s *Stdin) Open(pipe io.WriteCloser, closeIO func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.pipe, s.closeIO = pipe, closeIO
	close(s.ready)
}

// Write waits for Open.
func (s *Stdin) Write(p []byte) (int, error) {
	select {
	case <-s.ready:
	case <-s.closed:
		return 0, io.ErrClosedPipe
	}
	select {
	case <-s.closed:
		return 0, io.ErrClosedPipe
	default:
	}
	return s.pipe.Write(p)
}

// CloseInput ends the input, so that the process reads its end.
func (s *Stdin) CloseInput() {
	select {
	case <-s.ready:
	case <-s.closed:
		return
	}
	if s.Close() && s.closeIO != nil {
		s.closeIO()
	}
}

// Close lets go of the pipe and of those who write; it reports whether it was
// the first to.
func (s *Stdin) Close() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	select {
	case <-s.closed:
		return false
	default:
	}
	close(s.closed)
	if s.pipe != nil {
		s.pipe.Close()
	}
	return true
}
