// Package api serves the Docker-compatible HTTP API: one of the daemon's two
// front doors.
//
// Each resource has a file with its routes; their handlers decode the
// request, call the module that does the work, and encode the answer. The
// server collects all routes, lets the UpdateHandler chain of the plugins
// change the list, builds a router from what comes out and then listens.
//
// The wire behaviour is dockerd's at API version 1.44, with the differences
// that older versions had: what a client sees beyond the fields of
// github.com/moby/moby/api is restored in legacy.go.
package api
