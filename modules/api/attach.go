package api

import (
	"context"
	"fmt"
	"net/http"

	"github.com/pouchfx/pouchfx/modules/containers"
)

// attach connects the client with a container's streams.
func (h *containerHandlers) attach(ctx context.Context, w http.ResponseWriter, r *http.Request) error {
	q := query(r)
	if q.err != nil {
		return q.err
	}
	name := r.PathValue("name")
	tty, err := h.backend.TTY(ctx, name)
	if err != nil {
		return attachError(w, err)
	}
	s := newSession(w, r, h.streams, mediaType(ctx, tty))
	defer s.end()
	ctx, cancel := s.context(ctx)
	defer cancel()

	wanted := containers.Streams{DetachKeys: q.text("detachKeys")}
	stdout, stderr := split(s, tty)
	if q.flag("stdin") {
		wanted.Stdin = s
	}
	if q.flag("stdout") {
		wanted.Stdout = stdout
	}
	if q.flag("stderr") {
		wanted.Stderr = stderr
	}
	err = h.backend.Attach(ctx, name, containers.AttachOptions{Logs: q.flag("logs"), Stream: q.flag("stream")}, wanted, s.upgrade)
	if err != nil && !s.begun() {
		return attachError(w, err)
	}
	s.upgrade() // unless it was: there was nothing to attach to
	return nil
}

// attachError answers in plain text: a client that asked for an upgrade does
// not look for JSON.
func attachError(w http.ResponseWriter, err error) error {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Connection", "close")
	w.WriteHeader(statusOf(err))
	fmt.Fprintf(w, "%v\r\n", err)
	return nil
}
