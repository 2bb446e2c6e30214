package api

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	apitypes "github.com/moby/moby/api/types"
)

// lingerTimeout is how long a session waits for its client to close, once all
// is written: closing with input unread would reset the connection, and the
// client would lose output that it has not read yet.
const lingerTimeout = 500 * time.Millisecond

// session is the connection of an attach or exec after its upgrade: raw bytes
// in both directions.
//
// It is made before the upgrade, so that what fails until then gets an
// ordinary answer. Reading waits for the upgrade; the end of the input is the
// client's half-close, not its leaving.
type session struct {
	w        http.ResponseWriter
	r        *http.Request
	streams  *streams
	kind     string // media type of the output
	upgraded chan struct{}
	once     sync.Once

	// Set by the upgrade.
	conn net.Conn
	in   io.Reader
	err  error
}

func newSession(w http.ResponseWriter, r *http.Request, s *streams, kind string) *session {
	return &session{w: w, r: r, streams: s, kind: kind, upgraded: make(chan struct{})}
}

// upgrade takes the connection and sends the head of the answer: 101 when the
// client asked for an upgrade, otherwise 200 and raw bytes until the end.
func (s *session) upgrade() {
	s.once.Do(func() {
		defer close(s.upgraded)
		// dockerode says its options a second time in a body, which is no input.
		if s.r.ContentLength > 0 {
			_, _ = io.CopyN(io.Discard, s.r.Body, min(s.r.ContentLength, maxBody)) // what is wrong with it, the input will have too
		}
		conn, buffered, err := http.NewResponseController(s.w).Hijack()
		if err != nil {
			s.err = fmt.Errorf("cannot take over the connection: %w", err)
			return
		}
		s.conn, s.in = conn, buffered.Reader
		s.streams.add(conn)
		_, s.err = io.WriteString(conn, s.head())
	})
}

func (s *session) head() string {
	var b strings.Builder
	if s.r.Header.Get("Upgrade") != "" {
		fmt.Fprintf(&b, "HTTP/1.1 101 UPGRADED\r\nContent-Type: %s\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n", s.kind)
	} else {
		fmt.Fprintf(&b, "HTTP/1.1 200 OK\r\nContent-Type: %s\r\n", apitypes.MediaTypeRawStream)
	}
	_ = s.w.Header().Write(&b) // a Builder takes all
	return b.String() + "\r\n"
}

// begun reports whether the connection was taken.
func (s *session) begun() bool {
	select {
	case <-s.upgraded:
		return s.conn != nil
	default:
		return false
	}
}

// Read reads the client's input.
func (s *session) Read(p []byte) (int, error) {
	<-s.upgraded
	if s.err != nil {
		return 0, s.err
	}
	return s.in.Read(p)
}

// Write writes output.
func (s *session) Write(p []byte) (int, error) {
	<-s.upgraded
	if s.err != nil {
		return 0, s.err
	}
	return s.conn.Write(p)
}

// end closes the connection after all output was sent. A session that was not
// upgraded stays ordinary, and readers that wait are released.
func (s *session) end() {
	s.once.Do(func() {
		s.err = io.ErrClosedPipe
		close(s.upgraded)
	})
	if s.conn == nil {
		return
	}
	defer s.streams.remove(s.conn)
	defer s.conn.Close()
	if half, ok := s.conn.(interface{ CloseWrite() error }); !ok || half.CloseWrite() != nil {
		return
	}
	_ = s.conn.SetReadDeadline(time.Now().Add(lingerTimeout))
	_, _ = io.Copy(io.Discard, s.conn)
}

// context returns one for the time of a session. It ends when the server
// stops and not with the request's, which a half-close may end.
func (s *session) context(ctx context.Context) (context.Context, context.CancelFunc) {
	return s.streams.context(context.WithoutCancel(ctx))
}

// mediaType returns that of a container's output.
func mediaType(ctx context.Context, tty bool) string {
	if tty || !versionFrom(ctx).atLeast(42) {
		return apitypes.MediaTypeRawStream
	}
	return apitypes.MediaTypeMultiplexedStream
}
