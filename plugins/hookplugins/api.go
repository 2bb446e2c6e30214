package hookplugins

import (
	"cmp"
	"context"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/gorilla/mux"

	"github.com/pouchfx/pouchfx/plugins"
	"github.com/pouchfx/pouchfx/types"
)

// API returns p as a plugin of today. Its hook is
//
//	UpdateHandler([]*types.HandlerSpec) []*types.HandlerSpec
//
// with or without a context.Context as its first argument.
//
// The handlers that p adds, and those that it wraps others in, find the
// variables of the route with mux.Vars(req). What they change there and in
// req.Form, the handler that they wrap sees.
func API(p any) (plugins.APIPlugin, error) {
	switch p := p.(type) {
	case plugins.APIPlugin:
		return api{adapted{p}, p.UpdateHandler}, nil
	case interface {
		UpdateHandler([]*types.HandlerSpec) []*types.HandlerSpec
	}:
		return api{adapted{p}, func(_ context.Context, routes []*types.HandlerSpec) []*types.HandlerSpec {
			return p.UpdateHandler(routes)
		}}, nil
	}
	return nil, cmp.Or(odd(p, "UpdateHandler", "func([]*types.HandlerSpec) []*types.HandlerSpec"), none(p, "UpdateHandler"))
}

type api struct {
	adapted
	updateHandler func(context.Context, []*types.HandlerSpec) []*types.HandlerSpec
}

func (a api) UpdateHandler(ctx context.Context, routes []*types.HandlerSpec) []*types.HandlerSpec {
	for _, r := range routes {
		r.HandlerFunc = fromMux(r.HandlerFunc, variables(r.Path))
	}
	routes = a.updateHandler(ctx, routes)
	for _, r := range routes {
		if r != nil && r.HandlerFunc != nil { // the registry says what is wrong
			r.HandlerFunc = toMux(r.HandlerFunc, variables(r.Path))
		}
	}
	return routes
}

// toMux serves a route with a handler that looks for its variables in mux.Vars.
func toMux(next types.Handler, names []string) types.Handler {
	return func(ctx context.Context, rw http.ResponseWriter, req *http.Request) error {
		vars := make(map[string]string, len(names))
		for _, name := range names {
			vars[name] = req.PathValue(name)
		}
		return next(ctx, rw, mux.SetURLVars(req, vars))
	}
}

// fromMux serves a route with a handler that looks for its variables and its
// query in the request itself, behind one that may have changed mux.Vars and
// req.Form.
func fromMux(next types.Handler, names []string) types.Handler {
	return func(ctx context.Context, rw http.ResponseWriter, req *http.Request) error {
		vars := mux.Vars(req)
		for _, name := range names {
			if value, ok := vars[name]; ok {
				req.SetPathValue(name, value)
			}
		}
		if changed := req.Form; changed != nil && len(req.PostForm) == 0 && !maps.EqualFunc(changed, req.URL.Query(), slices.Equal) {
			url := *req.URL
			url.RawQuery = changed.Encode()
			req.URL = &url
		}
		return next(ctx, rw, req)
	}
}

// variables returns the names in a pattern.
func variables(path string) (names []string) {
	for segment := range strings.SplitSeq(path, "/") {
		if name, ok := strings.CutPrefix(segment, "{"); ok {
			name, _, _ = strings.Cut(strings.TrimSuffix(name, "}"), ":")
			names = append(names, name)
		}
	}
	return names
}
