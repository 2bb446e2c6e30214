package api

import (
	"context"
	"net/http"

	"github.com/moby/moby/api/types/container"

	"github.com/pouchfx/pouchfx/modules/containers"
)

// stats sends samples of what a container uses, one a second unless the client
// wants one.
func (h *containerHandlers) stats(ctx context.Context, w http.ResponseWriter, r *http.Request) error {
	q := query(r)
	o := containers.StatsOptions{Stream: !q.values.Has("stream") || q.flag("stream")}
	if versionFrom(ctx).atLeast(41) {
		o.OneShot = q.flag("one-shot")
	}
	if q.err != nil {
		return q.err
	}
	if o.Stream && o.OneShot {
		return badRequest("cannot have stream=true and one-shot=true")
	}
	ctx, cancel := h.streams.context(ctx)
	defer cancel()
	out := &stream{w: w, lineEnd: "\n"}
	return h.backend.Stats(ctx, r.PathValue("name"), o, func(s *container.StatsResponse) error {
		return out.send(s)
	})
}
