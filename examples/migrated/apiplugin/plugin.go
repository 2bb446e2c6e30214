// Package apiplugin changes the HTTP API for clients of an older engine.
package apiplugin

import (
	"context"
	"errors"
	"net/http"
	"strings"

	hookplugins "github.com/pouchfx/pouchfx/plugins/hookplugins"
	httputils "github.com/pouchfx/pouchfx/plugins/hookplugins"
	server "github.com/pouchfx/pouchfx/plugins/hookplugins"
	serverTypes "github.com/pouchfx/pouchfx/types"
	types "github.com/pouchfx/pouchfx/types"

	"github.com/gorilla/mux"
)

type apiPlugin struct{}

func init() {
	hookplugins.RegisterAPIPlugin(&apiPlugin{})
}

// UpdateHandler wraps some handlers, removes one and adds one.
func (a *apiPlugin) UpdateHandler(handlers []*serverTypes.HandlerSpec) []*serverTypes.HandlerSpec {
	i := 0
	for i < len(handlers) {
		if removed := updateHandlerSpec(handlers[i]); removed {
			handlers = append(handlers[:i], handlers[i+1:]...)
		} else {
			i++
		}
	}
	return append(handlers, []*serverTypes.HandlerSpec{
		{Method: http.MethodGet, Path: "/containers/{name:.*}/owner", HandlerFunc: ownerHandler},
		serverTypes.NewHandlerSpec(http.MethodPost, "/host/exec", hostExecHandler),
	}...)
}

func updateHandlerSpec(spec *serverTypes.HandlerSpec) (removed bool) {
	if spec == nil {
		return true
	}
	if strings.HasPrefix(spec.Path, "/containers/{name:.*}") {
		spec.HandlerFunc = containerRequestWrapper(spec.HandlerFunc)
	}
	switch spec.Path {
	case "/version":
		spec.HandlerFunc = headerWrapper(spec.HandlerFunc)
	case "/containers/{name:.*}/json":
		spec.HandlerFunc = headerWrapper(spec.HandlerFunc)
	case "/containers/create":
		spec.HandlerFunc = containerCreateWrapper(spec.HandlerFunc)
	case "/commit":
		return true
	}
	return false
}

// containerRequestWrapper lets old clients call containers by a name of old.
func containerRequestWrapper(h serverTypes.Handler) serverTypes.Handler {
	return func(ctx context.Context, rw http.ResponseWriter, req *http.Request) error {
		if name := mux.Vars(req)["name"]; strings.HasPrefix(name, "old-") {
			mux.Vars(req)["name"] = strings.TrimPrefix(name, "old-")
		}
		return h(ctx, rw, req)
	}
}

// containerCreateWrapper does the same for the name of a new container.
func containerCreateWrapper(h serverTypes.Handler) serverTypes.Handler {
	return func(ctx context.Context, rw http.ResponseWriter, req *http.Request) error {
		if name := req.FormValue("name"); strings.HasPrefix(name, "old-") {
			req.Form.Set("name", strings.TrimPrefix(name, "old-"))
		}
		return h(ctx, rw, req)
	}
}

func headerWrapper(h serverTypes.Handler) serverTypes.Handler {
	return func(ctx context.Context, rw http.ResponseWriter, req *http.Request) error {
		rw.Header().Set("X-Engine", "acme")
		return h(ctx, rw, req)
	}
}

func ownerHandler(ctx context.Context, rw http.ResponseWriter, req *http.Request) error {
	return server.EncodeResponse(rw, http.StatusOK, map[string]string{"Container": mux.Vars(req)["name"], "Owner": "acme"})
}

func hostExecHandler(ctx context.Context, rw http.ResponseWriter, req *http.Request) error {
	if req.FormValue("cmd") == "" {
		return httputils.NewHTTPError(errors.New("cmd is empty"), http.StatusBadRequest)
	}
	return server.EncodeResponse(rw, http.StatusNotImplemented, types.Error{Message: "not on this host"})
}
