// Package stamp is an example of an API plugin: it wraps every route, so that
// each answer names in a header the route that gave it, and adds a route that
// lists them all.
package stamp

import (
	"context"
	"encoding/json"
	"net/http"

	"github.com/pouchfx/pouchfx/plugins"
	"github.com/pouchfx/pouchfx/types"
)

// Header names the route in each answer.
const Header = "X-Pouchfx-Route"

// Module makes the plugin part of a daemon. Its priority is low, so that it
// comes last and sees the routes of the other plugins.
var Module = plugins.Provide("stamp", New, plugins.Priority(-100))

// Plugin wraps the routes.
type Plugin struct{}

// New returns the plugin. It needs nothing.
func New(struct{}) (*Plugin, error) { return &Plugin{}, nil }

// UpdateHandler returns the routes, wrapped, and one more.
func (*Plugin) UpdateHandler(_ context.Context, routes []*types.HandlerSpec) []*types.HandlerSpec {
	var names []string
	for _, r := range routes {
		name, next := r.Method+" "+r.Path, r.HandlerFunc
		names = append(names, name)
		r.HandlerFunc = func(ctx context.Context, w http.ResponseWriter, req *http.Request) error {
			w.Header().Set(Header, name)
			return next(ctx, w, req)
		}
	}
	return append(routes, types.NewHandlerSpec(http.MethodGet, "/example/routes",
		func(_ context.Context, w http.ResponseWriter, _ *http.Request) error {
			w.Header().Set("Content-Type", "application/json")
			return json.NewEncoder(w).Encode(names)
		}))
}
