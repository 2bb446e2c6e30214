package api

import (
	"context"
	"net/http"

	"github.com/distribution/reference"
	"github.com/moby/moby/api/types/container"

	"github.com/pouchfx/pouchfx/modules/containers"
	"github.com/pouchfx/pouchfx/types"
)

// commitHandlers make images of containers.
type commitHandlers struct{ backend Containers }

func (h *commitHandlers) routes() []*types.HandlerSpec {
	return []*types.HandlerSpec{types.NewHandlerSpec("POST", "/commit", h.commit)}
}

// commit makes an image of a container, which pauses unless asked not to. The
// body may hold the configuration of the image.
func (h *commitHandlers) commit(ctx context.Context, w http.ResponseWriter, r *http.Request) error {
	q := query(r)
	if q.err != nil {
		return q.err
	}
	target, err := optionalTarget(q.text("repo"), q.text("tag"))
	if err != nil {
		return err
	}
	var config *container.Config
	if err := readJSON(w, r, &config); err != nil {
		return err
	}
	id, err := h.backend.Commit(ctx, q.text("container"), containers.CommitOptions{
		Target: target, Pause: q.text("pause") == "" || q.flag("pause"),
		Author: q.text("author"), Comment: q.text("comment"), Changes: q.values["changes"], Config: config,
	})
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusCreated, container.CommitResponse{ID: id})
}

// optionalTarget reads the name that an image is to get; without one it is nil.
func optionalTarget(repo, tag string) (reference.NamedTagged, error) {
	if repo == "" {
		return nil, nil
	}
	return targetReference(repo, tag)
}
