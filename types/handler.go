package types

import (
	"context"
	"net/http"

	"github.com/moby/moby/api/types/common"
)

// Error is the body of an answer that reports an error.
type Error = common.ErrorResponse

// Handler serves one route of the HTTP API. An error it returns is sent to
// the client as {"message": …}; its class (github.com/containerd/errdefs)
// chooses the status. A handler that has begun its answer returns nil.
type Handler func(ctx context.Context, rw http.ResponseWriter, req *http.Request) error

// HandlerSpec is one route of the HTTP API: what the UpdateHandler hook gets,
// wraps, replaces, adds and removes.
type HandlerSpec struct {
	// Method is the HTTP method in capitals.
	Method string
	// Path is the pattern without the version prefix: literal segments and
	// variables, "/containers/{name:.*}/json". "{name}" matches one segment;
	// "{name:.*}" matches the rest up to the literal that follows it. The
	// routes of the daemon are spelt as PouchContainer and dockerd spell
	// theirs, so that a plugin finds the one it looks for. A handler reads a
	// variable with req.PathValue and changes it for the handler that it wraps
	// with req.SetPathValue.
	Path string
	// HandlerFunc serves the route; it is never nil in a valid list.
	HandlerFunc Handler
}

// NewHandlerSpec makes a route.
func NewHandlerSpec(method, path string, handler Handler) *HandlerSpec {
	return &HandlerSpec{Method: method, Path: path, HandlerFunc: handler}
}
