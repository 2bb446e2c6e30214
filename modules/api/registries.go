package api

import (
	"context"
	"net/http"

	"github.com/distribution/reference"
	"github.com/moby/moby/api/types/registry"

	"github.com/pouchfx/pouchfx/modules/images"
)

// auth checks the credentials of a registry.
func (h *imageHandlers) auth(ctx context.Context, w http.ResponseWriter, r *http.Request) error {
	var credentials registry.AuthConfig
	if err := readJSON(w, r, &credentials); err != nil {
		return err
	}
	answer, err := h.backend.CheckAuth(ctx, credentials)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, answer)
}

// distribution tells what a registry has under a name.
func (h *imageHandlers) distribution(ctx context.Context, w http.ResponseWriter, r *http.Request) error {
	name := r.PathValue("name")
	named, err := reference.ParseNormalizedNamed(name)
	if err != nil {
		return badReference(name, err)
	}
	found, err := h.backend.Distribution(ctx, named, credentials(r))
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, found)
}

// search asks a registry for repositories.
func (h *imageHandlers) search(ctx context.Context, w http.ResponseWriter, r *http.Request) error {
	q := query(r)
	o := images.SearchOptions{Limit: q.number("limit", 0), Filters: q.filters(), Auth: credentials(r)}
	if q.err != nil {
		return q.err
	}
	found, err := h.backend.Search(ctx, q.text("term"), o)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, list(found))
}
