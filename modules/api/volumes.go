package api

import (
	"context"
	"net/http"

	"github.com/pouchfx/pouchfx/types"
)

// volumeHandlers serve /volumes.
type volumeHandlers struct{ backend Volumes }

func (h *volumeHandlers) routes() []*types.HandlerSpec {
	return []*types.HandlerSpec{
		types.NewHandlerSpec("GET", "/volumes", h.list),
		types.NewHandlerSpec("POST", "/volumes/create", h.create),
		types.NewHandlerSpec("POST", "/volumes/prune", h.prune),
		types.NewHandlerSpec("GET", "/volumes/{name:.*}", h.inspect),
		types.NewHandlerSpec("DELETE", "/volumes/{name:.*}", h.remove),
	}
}

func (h *volumeHandlers) list(ctx context.Context, w http.ResponseWriter, r *http.Request) error {
	q := query(r)
	f := q.filters()
	if q.err != nil {
		return q.err
	}
	found, err := h.backend.List(ctx, f)
	if err != nil {
		return err
	}
	found.Volumes = list(found.Volumes)
	return writeJSON(w, http.StatusOK, found)
}

func (h *volumeHandlers) create(ctx context.Context, w http.ResponseWriter, r *http.Request) error {
	var config types.VolumeCreateConfig
	if err := readJSON(w, r, &config); err != nil {
		return err
	}
	made, err := h.backend.Create(ctx, &config)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusCreated, made)
}

func (h *volumeHandlers) inspect(ctx context.Context, w http.ResponseWriter, r *http.Request) error {
	found, err := h.backend.Get(ctx, r.PathValue("name"))
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, found)
}

func (h *volumeHandlers) remove(ctx context.Context, w http.ResponseWriter, r *http.Request) error {
	q := query(r)
	if q.err != nil {
		return q.err
	}
	return noContent(w, h.backend.Remove(ctx, r.PathValue("name"), q.flag("force")))
}

// prune removes anonymous volumes; before API 1.42 it removed named ones too.
func (h *volumeHandlers) prune(ctx context.Context, w http.ResponseWriter, r *http.Request) error {
	q := query(r)
	f := q.filters()
	if q.err != nil {
		return q.err
	}
	if !versionFrom(ctx).atLeast(42) && !f.Has("all") {
		f = f.With("all", "true")
	}
	report, err := h.backend.Prune(ctx, f)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, report)
}
