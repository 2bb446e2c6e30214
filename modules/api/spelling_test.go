package api

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

// What a plugin that was written for PouchContainer compares Method and Path
// with.
func TestRoutesAreSpeltAsPouchContainerSpeltThem(t *testing.T) {
	spelt := make(map[string]bool)
	for _, s := range New(Params{}).routes() {
		spelt[s.Method+" "+s.Path] = true
	}
	for _, route := range []string{
		"GET /_ping", "GET /info", "GET /version", "POST /auth", "GET /events",
		"POST /containers/create", "GET /containers/json", "DELETE /containers/{name:.*}",
		"GET /containers/{name:.*}/json", "GET /containers/{name:.*}/top", "GET /containers/{name:.*}/logs",
		"GET /containers/{name:.*}/stats", "POST /containers/{name:.*}/start", "POST /containers/{name:.*}/stop",
		"POST /containers/{name:.*}/restart", "POST /containers/{name:.*}/pause", "POST /containers/{name:.*}/unpause",
		"POST /containers/{name:.*}/rename", "POST /containers/{name:.*}/update", "POST /containers/{name:.*}/resize",
		"POST /containers/{name:.*}/wait", "POST /containers/{name:.*}/attach", "POST /containers/{name:.*}/exec",
		"PUT /containers/{name:.*}/archive", "HEAD /containers/{name:.*}/archive", "GET /containers/{name:.*}/archive",
		"GET /exec/{name:.*}/json", "POST /exec/{name:.*}/start", "POST /exec/{name:.*}/resize", "POST /commit",
		"POST /images/create", "GET /images/search", "GET /images/json", "POST /images/load",
		"DELETE /images/{name:.*}", "GET /images/{name:.*}/json", "POST /images/{name:.*}/tag",
		"GET /images/{name:.*}/history", "POST /images/{name:.*}/push",
		"GET /volumes", "POST /volumes/create", "GET /volumes/{name:.*}", "DELETE /volumes/{name:.*}",
		"GET /networks", "POST /networks/create", "GET /networks/{id:.*}", "DELETE /networks/{id:.*}",
		"POST /networks/{id:.*}/connect", "POST /networks/{id:.*}/disconnect",
	} {
		assert.True(t, spelt[route], route)
	}
}
