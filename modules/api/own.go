package api

import (
	"context"
	"net/http"

	"github.com/containerd/errdefs"

	"github.com/pouchfx/pouchfx/modules/lifecycle"
	"github.com/pouchfx/pouchfx/types"
)

// ownHandlers serve /pouchfx: what Docker's API has no place for.
type ownHandlers struct{ params Params }

func (h *ownHandlers) routes() []*types.HandlerSpec {
	return []*types.HandlerSpec{
		types.NewHandlerSpec("GET", "/pouchfx/plugins", h.plugins),
		types.NewHandlerSpec("GET", "/pouchfx/explain/{name:.*}", h.explain),
		types.NewHandlerSpec("GET", "/pouchfx/timeline", h.timeline),
		types.NewHandlerSpec("GET", "/pouchfx/metrics", h.metrics),
		types.NewHandlerSpec("GET", "/pouchfx/health", h.health),
	}
}

// plugins lists the daemon's plugins in their order.
func (h *ownHandlers) plugins(_ context.Context, w http.ResponseWriter, _ *http.Request) error {
	return writeJSON(w, http.StatusOK, list(h.params.Plugins.List()))
}

// explain tells what plugins did to a container, one of Docker's by name or
// id, or one of a pod by id.
func (h *ownHandlers) explain(ctx context.Context, w http.ResponseWriter, r *http.Request) error {
	name := r.PathValue("name")
	e, err := h.params.Containers.Explain(ctx, name)
	if errdefs.IsNotFound(err) {
		if inPod, failed := h.params.Pods.Explain(ctx, name); !errdefs.IsNotFound(failed) {
			e, err = inPod, failed
		}
	}
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, e)
}

// timeline shows what ran while the daemon started, times in nanoseconds.
func (h *ownHandlers) timeline(_ context.Context, w http.ResponseWriter, _ *http.Request) error {
	var entries []lifecycle.Entry
	if h.params.Timeline != nil {
		entries = h.params.Timeline.Entries()
	}
	return writeJSON(w, http.StatusOK, list(entries))
}

// metrics answers as Prometheus reads it.
func (h *ownHandlers) metrics(_ context.Context, w http.ResponseWriter, r *http.Request) error {
	h.params.Reporter.ServeMetrics(w, r)
	return nil
}

// health tells how the daemon is, with status 503 when it does not work.
func (h *ownHandlers) health(_ context.Context, w http.ResponseWriter, r *http.Request) error {
	h.params.Reporter.ServeHealth(w, r)
	return nil
}
