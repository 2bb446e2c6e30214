package api

import (
	"context"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pouchfx/pouchfx/types"
)

func nop(context.Context, http.ResponseWriter, *http.Request) error { return nil }

func TestRouterPrefersTheLiteralAndTriesTheOthers(t *testing.T) {
	patterns := []string{
		"/images/{name:.*}", "/images/{name:.*}/json", "/images/json", "/images/search", "/images/{name:.*}/scan/{id}",
		"/containers/{name}/json", "/containers/{id}/top", "/containers/json", "/x/{a}/{b:.*}/c/{d}", "/{any}/list",
	}
	var specs []*types.HandlerSpec
	for _, p := range patterns {
		specs = append(specs, types.NewHandlerSpec("GET", p, nop))
	}
	specs = append(specs, types.NewHandlerSpec("POST", "/images/{name:.*}/push", nop))
	for _, order := range []string{"as listed", "reversed"} {
		if order == "reversed" {
			for i, j := 0, len(specs)-1; i < j; i, j = i+1, j-1 {
				specs[i], specs[j] = specs[j], specs[i]
			}
		}
		r, err := newRouter(specs)
		require.NoError(t, err)
		for path, want := range map[string]struct {
			pattern string
			values  map[string]string
		}{
			"/images/json":                      {"/images/json", nil},
			"/images/search":                    {"/images/search", nil},
			"/images/busybox/json":              {"/images/{name:.*}/json", map[string]string{"name": "busybox"}},
			"/images/127.0.0.1:5000/a/b:c/json": {"/images/{name:.*}/json", map[string]string{"name": "127.0.0.1:5000/a/b:c"}},
			"/images/json/json":                 {"/images/{name:.*}/json", map[string]string{"name": "json"}},
			"/images/a/json/json":               {"/images/{name:.*}/json", map[string]string{"name": "a/json"}},
			"/images/a/b":                       {"/images/{name:.*}", map[string]string{"name": "a/b"}},
			"/images/a/b@sha256:0/scan/7":       {"/images/{name:.*}/scan/{id}", map[string]string{"name": "a/b@sha256:0", "id": "7"}},
			"/images/a/scan":                    {"/images/{name:.*}", map[string]string{"name": "a/scan"}},
			"/images/list":                      {"/images/{name:.*}", map[string]string{"name": "list"}},
			"/containers/json":                  {"/containers/json", nil},
			"/containers/json/json":             {"/containers/{name}/json", map[string]string{"name": "json"}},
			"/containers/w/top":                 {"/containers/{id}/top", map[string]string{"id": "w"}},
			"/x/1/2/3/c/4":                      {"/x/{a}/{b:.*}/c/{d}", map[string]string{"a": "1", "b": "2/3", "d": "4"}},
			"/anything/list":                    {"/{any}/list", map[string]string{"any": "anything"}},
			"/containers/list":                  {"/{any}/list", map[string]string{"any": "containers"}},
			"/containers//json":                 {},
			"/containers/a/b/json":              {},
			"/containers/json/":                 {},
			"/images/":                          {},
			"/images//json":                     {},
			"/images":                           {},
			"/images/a/push":                    {"/images/{name:.*}", map[string]string{"name": "a/push"}},
			"":                                  {},
			"images/json":                       {},
		} {
			req := httptest.NewRequest("GET", "/", nil)
			found := r.find(req, path)
			if want.pattern == "" {
				assert.Nil(t, found, path)
				continue
			}
			require.NotNil(t, found, path)
			assert.Equal(t, want.pattern, found.Path, "%s, %s", path, order)
			for name, value := range want.values {
				assert.Equal(t, value, req.PathValue(name), path)
			}
		}
	}
}

func TestRouterRefusesWhatItCannotServe(t *testing.T) {
	for _, p := range []string{"x", "/{", "/{}", "/{a:[0-9]+}", "/{a:.*", "/{a}b"} {
		_, err := newRouter([]*types.HandlerSpec{types.NewHandlerSpec("GET", p, nop)})
		assert.Error(t, err, p)
	}
	_, err := newRouter([]*types.HandlerSpec{types.NewHandlerSpec("GET", "/a/{x}", nop), types.NewHandlerSpec("GET", "/a/{y}", nop)})
	assert.ErrorContains(t, err, "there already")
}

func FuzzRouter(f *testing.F) {
	s := New(Params{})
	r, err := newRouter(s.routes())
	require.NoError(f, err)
	f.Add("/images/a/b/json")
	f.Add("//..//")
	f.Fuzz(func(_ *testing.T, path string) {
		for method := range r.methods {
			r.find(&http.Request{Method: method}, path)
		}
	})
}

func BenchmarkRouter(b *testing.B) {
	r, err := newRouter(New(Params{}).routes())
	require.NoError(b, err)
	for b.Loop() {
		r.find(&http.Request{Method: "GET"}, "/images/registry.example.com:5000/team/app:v1/json")
	}
}
