package images_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/api/types/jsonstream"
	"github.com/moby/moby/api/types/registry"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pouchfx/pouchfx/modules/containerd/containerdtest"
	"github.com/pouchfx/pouchfx/modules/images"
)

// tagLists answers requests for tags with pages of its own.
func tagLists(pages map[string]func(http.ResponseWriter)) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			answer := pages[r.URL.Query().Get("last")]
			if !strings.HasSuffix(r.URL.Path, "/test/small/tags/list") || answer == nil {
				next.ServeHTTP(w, r)
				return
			}
			answer(w)
		})
	}
}

func page(tags, link string) func(http.ResponseWriter) {
	return func(w http.ResponseWriter) {
		if link != "" {
			w.Header().Set("Link", "<"+link+`>; rel="next"`)
		}
		_, _ = w.Write([]byte(`{"name":"test/small","tags":` + tags + `}`))
	}
}

func TestPullAllPullsEveryTag(t *testing.T) {
	e := containerdtest.Embedded(t)
	s := newService(t, e, noHook)
	r := containerdtest.NewPrivateRegistry(t, "joe", "secret")
	for _, tag := range []string{"1", "2", "latest"} {
		r.Push(t, "test/small:"+tag, small(t))
	}
	r.Push(t, "test/other:1", small(t))
	repository := named(t, r.Host+"/test/small")
	err := s.PullAll(t.Context(), repository, images.PullOptions{})
	require.ErrorIs(t, err, errdefs.ErrNotFound)
	assert.ErrorContains(t, err, "pull access denied for "+r.Host+"/test/small")

	var said []string
	require.NoError(t, s.PullAll(t.Context(), repository, images.PullOptions{
		Auth: &registry.AuthConfig{Username: "joe", Password: "secret"},
		Progress: func(m jsonstream.Message) {
			if strings.HasPrefix(m.Status, "Pulling from") || strings.HasPrefix(m.Status, "Status:") {
				said = append(said, strings.TrimSpace(m.ID+" "+m.Status))
			}
		},
	}))
	var want []string
	for _, tag := range []string{"1", "2", "latest"} {
		want = append(want, tag+" Pulling from test/small", "Status: Downloaded newer image for "+repository.Name()+":"+tag)
	}
	assert.Equal(t, want, said)
	records, err := e.Client().ListImages(t.Context())
	require.NoError(t, err)
	assert.Len(t, records, 3)
}

func TestAListOfTagsHasPages(t *testing.T) {
	e := containerdtest.Embedded(t)
	s := newService(t, e, noHook)
	r := containerdtest.NewRegistry(t, tagLists(map[string]func(http.ResponseWriter){
		"":  page(`["1"]`, "/v2/test/small/tags/list?last=1&n=1"),
		"1": page(`["2", "not a tag"]`, "https://elsewhere.invalid/v2/test/small/tags/list?last=2"),
		"2": page(`["3"]`, "?last=3"),
		"3": page(`[]`, "?last=3"),
	}))
	for _, tag := range []string{"1", "2", "3"} {
		r.Push(t, "test/small:"+tag, small(t))
	}
	require.NoError(t, s.PullAll(t.Context(), named(t, r.Host+"/test/small"), images.PullOptions{}))
	records, err := e.Client().ListImages(t.Context())
	require.NoError(t, err)
	assert.Len(t, records, 3)
}

func TestPullAllTellsWhatIsWrong(t *testing.T) {
	e := containerdtest.Embedded(t)
	s := newService(t, e, noHook)
	never := func(jsonstream.Message) { t.Error("progress") }
	for name, c := range map[string]struct {
		answer func(http.ResponseWriter)
		text   string
	}{
		"nothing under the name": {nil, "/test/small not found: name unknown"},
		"no list":                {func(w http.ResponseWriter) { _, _ = w.Write([]byte("<html>")) }, "cannot read its tags"},
		"an error":               {func(w http.ResponseWriter) { w.WriteHeader(http.StatusBadGateway) }, "502"},
		"no end":                 {page("["+strings.Repeat(`"a",`, 60_000)+`"a"]`, "?last="), "more than 100000 tags"},
	} {
		r := containerdtest.NewRegistry(t, tagLists(map[string]func(http.ResponseWriter){"": c.answer}))
		err := s.PullAll(t.Context(), named(t, r.Host+"/test/small"), images.PullOptions{Progress: never})
		assert.ErrorContains(t, err, c.text, name)
	}
	requireNothing(t, e)
}
