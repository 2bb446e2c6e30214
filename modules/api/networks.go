package api

import (
	"context"
	"net/http"

	"github.com/moby/moby/api/types/network"

	"github.com/pouchfx/pouchfx/types"
)

// networkHandlers serve /networks.
type networkHandlers struct {
	backend    Networks
	containers Containers
}

func (h *networkHandlers) routes() []*types.HandlerSpec {
	return []*types.HandlerSpec{
		types.NewHandlerSpec("GET", "/networks", h.list),
		types.NewHandlerSpec("GET", "/networks/{id:.*}", h.inspect),
		types.NewHandlerSpec("POST", "/networks/create", h.create),
		types.NewHandlerSpec("POST", "/networks/prune", h.prune),
		types.NewHandlerSpec("POST", "/networks/{id:.*}/connect", h.connect),
		types.NewHandlerSpec("POST", "/networks/{id:.*}/disconnect", h.disconnect),
		types.NewHandlerSpec("DELETE", "/networks/{id:.*}", h.remove),
	}
}

// list shows networks without their containers, which clients older than 1.28
// expect.
func (h *networkHandlers) list(ctx context.Context, w http.ResponseWriter, r *http.Request) error {
	q := query(r)
	f := q.filters()
	if q.err != nil {
		return q.err
	}
	found, err := h.backend.List(ctx, f)
	if err != nil {
		return err
	}
	found = list(found)
	for i := range found {
		found[i].Status = nil
		if found[i].Containers == nil || versionFrom(ctx).atLeast(28) {
			found[i].Containers = map[string]network.EndpointResource{}
		}
	}
	return writeJSON(w, http.StatusOK, found)
}

func (h *networkHandlers) inspect(ctx context.Context, w http.ResponseWriter, r *http.Request) error {
	found, err := h.backend.Inspect(ctx, r.PathValue("id"))
	if err != nil {
		return err
	}
	found.Status = nil // of 1.52
	if found.Containers == nil {
		found.Containers = map[string]network.EndpointResource{}
	}
	return writeJSON(w, http.StatusOK, found)
}

func (h *networkHandlers) create(ctx context.Context, w http.ResponseWriter, r *http.Request) error {
	var request network.CreateRequest
	if err := readJSON(w, r, &request); err != nil {
		return err
	}
	made, err := h.backend.Create(ctx, request)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusCreated, made)
}

func (h *networkHandlers) connect(ctx context.Context, w http.ResponseWriter, r *http.Request) error {
	var request network.ConnectRequest
	if err := readJSON(w, r, &request); err != nil {
		return err
	}
	if request.Container == "" {
		return badRequest("container cannot be empty")
	}
	if e := request.EndpointConfig; e != nil && !versionFrom(ctx).atLeast(44) {
		e.MacAddress = nil // those versions did not have it
	}
	return h.containers.Connect(ctx, request.Container, r.PathValue("id"), request.EndpointConfig)
}

func (h *networkHandlers) disconnect(ctx context.Context, w http.ResponseWriter, r *http.Request) error {
	var request network.DisconnectRequest
	if err := readJSON(w, r, &request); err != nil {
		return err
	}
	if request.Container == "" {
		return badRequest("container cannot be empty")
	}
	return h.containers.Disconnect(ctx, request.Container, r.PathValue("id"), request.Force)
}

func (h *networkHandlers) remove(ctx context.Context, w http.ResponseWriter, r *http.Request) error {
	return noContent(w, h.backend.Remove(ctx, r.PathValue("id")))
}

func (h *networkHandlers) prune(ctx context.Context, w http.ResponseWriter, r *http.Request) error {
	q := query(r)
	f := q.filters()
	if q.err != nil {
		return q.err
	}
	report, err := h.backend.Prune(ctx, f)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, report)
}
