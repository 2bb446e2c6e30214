package images_test

import (
	"strings"
	"testing"
	"time"

	"github.com/containerd/errdefs"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/pouchfx/pouchfx/modules/containerd/containerdtest"
	"github.com/pouchfx/pouchfx/modules/filters"
	"github.com/pouchfx/pouchfx/modules/images"
)

// aged loads an image that was made some days ago.
func aged(t *testing.T, s *images.Service, name string, days int, labels map[string]string) {
	t.Helper()
	img, err := mutate.CreatedAt(small(t), v1.Time{Time: time.Now().Add(-time.Duration(days) * 24 * time.Hour)})
	require.NoError(t, err)
	img, err = mutate.Config(img, v1.Config{Labels: labels})
	require.NoError(t, err)
	_, err = s.Load(t.Context(), containerdtest.Archive(t, name, img), nil)
	require.NoError(t, err)
}

func filter(t *testing.T, text string) filters.Args {
	t.Helper()
	f, err := filters.Parse(text)
	require.NoError(t, err)
	return f
}

func TestListFilters(t *testing.T) {
	s := newService(t, containerdtest.Embedded(t), noHook)
	aged(t, s, "old:1", 30, map[string]string{"kind": "old", "x": ""})
	aged(t, s, "middle:1", 20, map[string]string{"kind": "middle"})
	aged(t, s, "new:1", 10, nil)
	aged(t, s, "lost:1", 5, nil)
	aged(t, s, "lost:1", 4, nil) // the one before has no name any more
	for text, want := range map[string]string{
		``:                       "lost:1  new:1 middle:1 old:1",
		`{"before":["new:1"]}`:   "middle:1 old:1",
		`{"since":["middle:1"]}`: "lost:1  new:1",
		`{"since":["old:1"],"before":["lost:1"]}`: " new:1 middle:1",
		`{"label":["kind"]}`:                      "middle:1 old:1",
		`{"label":["kind=old","x"]}`:              "old:1",
		`{"until":["360h"]}`:                      "middle:1 old:1",
		`{"dangling":["true"]}`:                   "",
		`{"dangling":["false"]}`:                  "lost:1 new:1 middle:1 old:1",
		`{"reference":["*d?le*","ol*"]}`:          "middle:1 old:1",
		`{"reference":["old:*","new"]}`:           "new:1 old:1",
	} {
		list, err := s.List(t.Context(), images.ListOptions{Filters: filter(t, text)})
		require.NoError(t, err, text)
		var names []string
		for _, i := range list {
			names = append(names, strings.Join(i.RepoTags, ","))
		}
		assert.Equal(t, want, strings.Join(names, " "), text)
		if strings.Contains(text, `dangling":["true`) {
			assert.Len(t, list, 1)
		}
	}
	for _, bad := range []string{`{"colour":["red"]}`, `{"dangling":["perhaps"]}`, `{"until":["nonsense"]}`} {
		_, err := s.List(t.Context(), images.ListOptions{Filters: filter(t, bad)})
		assert.ErrorIs(t, err, errdefs.ErrInvalidArgument, bad)
	}
	_, err := s.List(t.Context(), images.ListOptions{Filters: filter(t, `{"before":["nosuch"]}`)})
	assert.ErrorIs(t, err, errdefs.ErrNotFound)
}

func TestPruneFilters(t *testing.T) {
	e := containerdtest.Embedded(t)
	s := newService(t, e, noHook)
	aged(t, s, "old:1", 30, map[string]string{"keep": "no"})
	aged(t, s, "kept:1", 30, map[string]string{"keep": "yes"})
	aged(t, s, "new:1", 10, nil)
	aged(t, s, "lost:1", 5, nil)
	aged(t, s, "lost:1", 4, nil)
	for _, step := range []struct{ filter, deleted string }{
		{`{"dangling":["true"],"until":["240h"]}`, ""},
		{`{"dangling":["false"],"until":["360h"],"label!":["keep=yes"]}`, "old:1"},
		{`{"dangling":["false"],"label":["keep"]}`, "kept:1"},
		{``, ""}, // the one without a name
		{`{"dangling":["0"]}`, "lost:1 new:1"},
	} {
		report, err := s.Prune(t.Context(), filter(t, step.filter))
		require.NoError(t, err)
		var names []string
		deleted := 0
		for _, r := range report.ImagesDeleted {
			if r.Untagged != "" {
				names = append(names, r.Untagged)
			} else {
				deleted++
			}
		}
		assert.Equal(t, step.deleted, strings.Join(names, " "), step.filter)
		if step.filter == "" {
			assert.Equal(t, 1, deleted)
		}
	}
	requireNothing(t, e)
}
