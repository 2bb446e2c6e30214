package api

import (
	"context"
	"net/http"

	"github.com/containerd/errdefs"

	"github.com/pouchfx/pouchfx/modules/lifecycle"
	"github.com/pouchfx/pouchfx/modules/registry"
	"github.com/pouchfx/pouchfx/types"
)

// ownHandlers serve /pouchfx: what Docker's API has no place for.
type ownHandlers struct{ params Params }

func (h *ownHandlers) routes() []*types.HandlerSpec {
	return []*types.HandlerSpec{
		types.NewHandlerSpec("GET", "/pouchfx/plugins", h.plugins),
		types.NewHandlerSpec("GET", "/pouchfx/explain/{name:.*}", h.explain),
		types.NewHandlerSpec("GET", "/pouchfx/timeline", h.timeline),
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

// health is what GET /pouchfx/health answers.
type health struct {
	// Status is "ok", or "degraded" when an optional plugin has failed.
	Status string `json:"status"`
	// Failed names the plugins that have failed and why.
	Failed map[string]string `json:"failed,omitempty"`
	// Engine says why the engine does not answer.
	Engine string `json:"engine,omitempty"`
}

// health asks the engine and looks for failed plugins. The status is 503 when
// the engine does not answer.
func (h *ownHandlers) health(ctx context.Context, w http.ResponseWriter, _ *http.Request) error {
	answer := health{Status: "ok", Failed: make(map[string]string)}
	for _, p := range h.params.Plugins.List() {
		if p.Status == registry.Failed {
			answer.Status = "degraded"
			answer.Failed[p.Name] = p.Error
		}
	}
	status := http.StatusOK
	if _, err := h.params.Engine.Versions(ctx); err != nil {
		status, answer.Status, answer.Engine = http.StatusServiceUnavailable, "failed", err.Error()
	}
	return writeJSON(w, status, answer)
}
