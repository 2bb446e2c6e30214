package api

import (
	"context"
	"net/http"

	"github.com/moby/moby/api/types/container"

	"github.com/pouchfx/pouchfx/modules/containers"
	"github.com/pouchfx/pouchfx/types"
)

// execHandlers serve the further processes of containers.
type execHandlers struct {
	backend Execs
	streams *streams
}

func (h *execHandlers) routes() []*types.HandlerSpec {
	return []*types.HandlerSpec{
		types.NewHandlerSpec("POST", "/containers/{name:.*}/exec", h.create),
		types.NewHandlerSpec("POST", "/exec/{name:.*}/start", h.start),
		types.NewHandlerSpec("POST", "/exec/{name:.*}/resize", h.resize),
		types.NewHandlerSpec("GET", "/exec/{name:.*}/json", h.inspect),
	}
}

func (h *execHandlers) create(ctx context.Context, w http.ResponseWriter, r *http.Request) error {
	var o container.ExecCreateRequest
	if err := readJSON(w, r, &o); err != nil {
		return err
	}
	if len(o.Cmd) == 0 {
		return badRequest("No exec command specified")
	}
	id, err := h.backend.ExecCreate(ctx, r.PathValue("name"), o)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusCreated, container.ExecCreateResponse{ID: id})
}

func (h *execHandlers) start(ctx context.Context, w http.ResponseWriter, r *http.Request) error {
	var body container.ExecStartRequest
	if err := readJSON(w, r, &body); err != nil {
		return err
	}
	id := r.PathValue("name")
	if _, err := h.backend.ExecTTY(id); err != nil {
		return err
	}
	o := containers.ExecStartOptions{Detach: body.Detach, Tty: body.Tty}
	if body.Tty && versionFrom(ctx).atLeast(42) {
		o.ConsoleSize = body.ConsoleSize
	}
	if o.Detach {
		// The process outlives the request.
		return h.backend.ExecStart(context.WithoutCancel(ctx), id, o, containers.Streams{}, func() {})
	}
	return h.startAttached(ctx, w, r, id, o)
}

func (h *execHandlers) startAttached(ctx context.Context, w http.ResponseWriter, r *http.Request, id string, o containers.ExecStartOptions) error {
	s := newSession(w, r, h.streams, mediaType(ctx, o.Tty))
	defer s.end()
	ctx, cancel := s.context(ctx)
	defer cancel()

	stdout, stderr := split(s, o.Tty)
	err := h.backend.ExecStart(ctx, id, o, containers.Streams{Stdin: s, Stdout: stdout, Stderr: stderr}, s.upgrade)
	if err != nil && !s.begun() {
		return err
	}
	s.upgrade() // unless it was; an error after that is in the output already
	return nil
}

func (h *execHandlers) resize(ctx context.Context, _ http.ResponseWriter, r *http.Request) error {
	q := query(r)
	height, width := q.size("h"), q.size("w")
	if q.err != nil {
		return q.err
	}
	return h.backend.ExecResize(ctx, r.PathValue("name"), height, width)
}

func (h *execHandlers) inspect(ctx context.Context, w http.ResponseWriter, r *http.Request) error {
	found, err := h.backend.ExecInspect(ctx, r.PathValue("name"))
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, found)
}
