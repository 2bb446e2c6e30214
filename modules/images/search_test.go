package images

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/api/types/registry"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pouchfx/pouchfx/modules/filters"
)

// searching is a service and a registry that answers searches with handler.
func searching(t *testing.T, handler http.HandlerFunc) (*Service, string) {
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	return &Service{registries: newRegistries(Config{StallTimeout: 2 * time.Second})}, strings.TrimPrefix(server.URL, "http://")
}

func TestSearch(t *testing.T) {
	s, host := searching(t, func(w http.ResponseWriter, r *http.Request) {
		assert.Equal(t, "/v1/search", r.URL.Path)
		assert.Equal(t, "a/web", r.URL.Query().Get("q"))
		assert.Equal(t, "25", r.URL.Query().Get("n"))
		user, _, _ := r.BasicAuth()
		assert.Equal(t, "joe", user)
		_, _ = io.WriteString(w, `{"num_results":3,"query":"web","results":[
			{"name":"web","star_count":9,"is_official":true,"description":"the web"},
			{"name":"joe/web","star_count":3}, {"name":"eve/web","star_count":0}]}`)
	})
	for filter, names := range map[string][]string{
		"":                               {"web", "joe/web", "eve/web"},
		`{"is-official":["true"]}`:       {"web"},
		`{"is-official":["false"]}`:      {"joe/web", "eve/web"},
		`{"stars":["3"]}`:                {"web", "joe/web"},
		`{"is-automated":{"true":true}}`: {},
	} {
		f, err := filters.Parse(filter)
		require.NoError(t, err)
		found, err := s.Search(t.Context(), host+"/a/web", SearchOptions{Filters: f, Auth: &registry.AuthConfig{Username: "joe", Password: "p"}})
		require.NoError(t, err)
		got := []string{}
		for _, r := range found {
			got = append(got, r.Name)
		}
		assert.Equal(t, names, got, filter)
	}
}

func TestSearchOfARegistryThatHasNone(t *testing.T) {
	for name, tc := range map[string]struct {
		answer http.HandlerFunc
		class  error
		text   string
	}{
		"not found":    {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(404) }, errdefs.ErrNotImplemented, "has no search"},
		"a web page":   {func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "<html>") }, errdefs.ErrNotImplemented, "has no search"},
		"unauthorized": {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(401) }, errdefs.ErrUnauthenticated, "docker login"},
		"broken":       {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(500) }, nil, "500 Internal Server Error"},
		"endless": {func(w http.ResponseWriter, _ *http.Request) {
			for range 6 << 10 {
				_, _ = io.WriteString(w, strings.Repeat(" ", 1024))
			}
		}, errdefs.ErrNotImplemented, "has no search"},
		"silent": {func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }, nil, "search: "},
	} {
		t.Run(name, func(t *testing.T) {
			s, host := searching(t, tc.answer)
			_, err := s.Search(t.Context(), host+"/web", SearchOptions{})
			require.ErrorContains(t, err, tc.text)
			if tc.class != nil {
				assert.ErrorIs(t, err, tc.class)
			}
		})
	}
}

func TestSearchRefusals(t *testing.T) {
	s, host := searching(t, func(http.ResponseWriter, *http.Request) {})
	for text, o := range map[string]SearchOptions{
		"Limit 200 is outside the range of [1, 100]": {Limit: 200},
		"Limit -1 is outside":                        {Limit: -1},
		"invalid filter 'colour'":                    {Filters: filters.Args{"colour": {"red": true}}},
		"invalid filter 'stars=many'":                {Filters: filters.Args{"stars": {"many": true}}},
	} {
		_, err := s.Search(t.Context(), host+"/web", o)
		assert.ErrorIs(t, err, errdefs.ErrInvalidArgument)
		assert.ErrorContains(t, err, text)
	}
	for _, term := range []string{"", host + "/", "https://" + host + "/web"} {
		_, err := s.Search(t.Context(), term, SearchOptions{})
		assert.ErrorIs(t, err, errdefs.ErrInvalidArgument, term)
	}
}

func TestWhereIsSearched(t *testing.T) {
	for term, want := range map[string][2]string{
		"web":                      {dockerHubSearch, "web"},
		"joe/web":                  {dockerHubSearch, "joe/web"},
		"library/web":              {dockerHubSearch, "web"},
		"docker.io/library/web":    {dockerHubSearch, "web"},
		"index.docker.io/a/b":      {dockerHubSearch, "a/b"},
		"reg.example.com/a/b":      {"reg.example.com", "a/b"},
		"localhost/a":              {"localhost", "a"},
		"127.0.0.1:5000/library/a": {"127.0.0.1:5000", "library/a"},
	} {
		host, text, err := searched(term)
		require.NoError(t, err)
		assert.Equal(t, want, [2]string{host, text}, term)
	}
}
