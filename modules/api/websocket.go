package api

import (
	"context"
	"io"
	"net/http"
	"sync"

	"github.com/coder/websocket"

	"github.com/pouchfx/pouchfx/modules/containers"
)

// maxMessage bounds one message of a client's input, in bytes.
const maxMessage = 1 << 20

// attachWebsocket connects the client with a container's streams through a
// websocket: what it sends is input, what it gets is output, both streams as
// they come. A page of another origin is refused.
func (h *containerHandlers) attachWebsocket(ctx context.Context, w http.ResponseWriter, r *http.Request) error {
	q := query(r)
	if q.err != nil {
		return q.err
	}
	s := &socket{w: w, r: r, streams: h.streams, ready: make(chan struct{})}
	if !versionFrom(ctx).atLeast(28) {
		s.kind = websocket.MessageText
	} else {
		s.kind = websocket.MessageBinary
	}
	ctx, s.leave = h.streams.context(context.WithoutCancel(ctx)) // hijacking ends the request's
	s.ctx = ctx
	defer s.end()
	wanted := containers.Streams{DetachKeys: q.text("detachKeys")}
	if q.flag("stdin") {
		var to *io.PipeWriter
		wanted.Stdin, to = io.Pipe()
		s.input = to
	}
	if q.flag("stdout") {
		wanted.Stdout = s
	}
	if q.flag("stderr") {
		wanted.Stderr = s
	}
	err := h.backend.Attach(ctx, r.PathValue("name"), containers.AttachOptions{Logs: q.flag("logs"), Stream: q.flag("stream")}, wanted, s.upgrade)
	if err != nil && !s.begun() {
		return err
	}
	s.upgrade() // unless it was: there was nothing to attach to
	return nil
}

// socket is the websocket of an attached client. Writing waits for the upgrade.
type socket struct {
	w       http.ResponseWriter
	r       *http.Request
	streams *streams
	kind    websocket.MessageType
	ctx     context.Context
	leave   context.CancelFunc // the client has gone
	input   *io.PipeWriter     // nil where the client's input is not wanted

	once    sync.Once
	ready   chan struct{} // closed by the upgrade
	conn    *websocket.Conn
	err     error
	reading sync.WaitGroup
	writing sync.Mutex // both outputs share it
}

func (s *socket) upgrade() {
	s.once.Do(func() {
		defer close(s.ready)
		s.conn, s.err = websocket.Accept(s.w, s.r, nil) // an error was answered
		if s.err != nil {
			s.leave()
			return
		}
		s.conn.SetReadLimit(maxMessage)
		s.streams.add(s)
		s.reading.Go(s.read)
	})
}

// begun reports whether an answer was given.
func (s *socket) begun() bool {
	select {
	case <-s.ready:
		return true
	default:
		return false
	}
}

// read passes the client's input on, until it goes: a websocket has no end of
// input that is not the end of all.
func (s *socket) read() {
	defer s.leave()
	to := io.Discard
	if s.input != nil {
		to = s.input
		defer s.input.Close()
	}
	for {
		_, message, err := s.conn.Reader(s.ctx)
		if err == nil {
			_, err = io.Copy(to, message)
		}
		if err != nil {
			return
		}
	}
}

// Write sends output as one message.
func (s *socket) Write(p []byte) (int, error) {
	<-s.ready
	if s.err != nil {
		return 0, s.err
	}
	s.writing.Lock()
	defer s.writing.Unlock()
	if err := s.conn.Write(s.ctx, s.kind, p); err != nil {
		return 0, err
	}
	return len(p), nil
}

// Close breaks the connection off.
func (s *socket) Close() error { return s.conn.CloseNow() }

// end says goodbye to the client, if it is there, and lets go of the
// connection.
func (s *socket) end() {
	s.once.Do(func() {
		s.err = io.ErrClosedPipe
		close(s.ready)
	})
	defer s.leave()
	if s.conn == nil {
		return
	}
	defer s.streams.remove(s)
	if s.input != nil {
		s.input.Close() // a reader of it that hangs goes on
	}
	_ = s.conn.Close(websocket.StatusNormalClosure, "")
	s.reading.Wait()
}
