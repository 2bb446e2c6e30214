package images_test

import (
	"archive/tar"
	"bytes"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/containerd/containerd/v2/client"
	"github.com/containerd/errdefs"
	"github.com/distribution/reference"
	dockerevents "github.com/moby/moby/api/types/events"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/pouchfx/pouchfx/modules/containerd"
	"github.com/pouchfx/pouchfx/modules/containerd/containerdtest"
	"github.com/pouchfx/pouchfx/modules/events"
	"github.com/pouchfx/pouchfx/modules/filters"
	"github.com/pouchfx/pouchfx/modules/images"
)

func TestNames(t *testing.T) {
	containerdtest.Both(t, func(t *testing.T, e *containerd.Engine) {
		ctx := t.Context()
		bus := events.New()
		s := images.New(e, hook(noHook), bus, containerdtest.Log(t), images.Config{})
		names, err := s.Load(ctx, containerdtest.Archive(t, "small:1", small(t)), nil)
		require.NoError(t, err)
		require.Equal(t, []string{"small:1"}, names)
		i, err := s.Resolve(ctx, "small:1")
		require.NoError(t, err)

		target := named(t, "other/name:2").(reference.NamedTagged)
		require.NoError(t, s.Tag(ctx, "small:1", target))
		for _, name := range []string{"other/name:2", "docker.io/other/name:2", i.ID.String(), i.ID.Encoded(), i.ID.Encoded()[:12], "small:1@" + i.Target().Digest.String(), "small@" + i.Target().Digest.String()} {
			found, err := s.Resolve(ctx, name)
			require.NoError(t, err, name)
			assert.Equal(t, i.ID, found.ID, name)
		}
		for _, name := range []string{"small:2", "nosuch", "sha256:" + strings.Repeat("0", 64), "Not/A name", "", "../x"} {
			_, err := s.Resolve(ctx, name)
			assert.ErrorIs(t, err, errdefs.ErrNotFound, name)
			assert.ErrorContains(t, err, "No such image: "+name)
		}

		list, err := s.List(ctx, images.ListOptions{})
		require.NoError(t, err)
		require.Len(t, list, 1)
		assert.ElementsMatch(t, []string{"other/name:2", "small:1"}, list[0].RepoTags)
		assert.Len(t, list[0].RepoDigests, 2)
		assert.Positive(t, list[0].Size)
		for filter, count := range map[string]int{
			`{"reference":["small*"]}`: 1, `{"reference":["nosuch"]}`: 0, `{"reference":["other/*"]}`: 1,
			`{"dangling":["true"]}`: 0, `{"dangling":["false"]}`: 1, `{"label":["x"]}`: 0,
		} {
			f, err := filters.Parse(filter)
			require.NoError(t, err)
			list, err := s.List(ctx, images.ListOptions{Filters: f})
			require.NoError(t, err)
			assert.Len(t, list, count, filter)
		}

		inspect, err := s.Inspect(ctx, "small:1")
		require.NoError(t, err)
		assert.Equal(t, i.ID.String(), inspect.ID)
		assert.Len(t, inspect.RootFS.Layers, 2)

		removed, err := s.Remove(ctx, "small:1", false, false)
		require.NoError(t, err)
		require.Len(t, removed, 1)
		assert.Equal(t, "small:1", removed[0].Untagged)
		removed, err = s.Remove(ctx, "other/name:2", false, false)
		require.NoError(t, err)
		require.Len(t, removed, 2)
		assert.Equal(t, "other/name:2", removed[0].Untagged)
		assert.Equal(t, i.ID.String(), removed[1].Deleted)
		requireNothing(t, e)

		past, _, cancel := bus.Subscribe(time.Now().Add(-time.Hour), time.Now())
		cancel()
		var actions []dockerevents.Action
		for _, m := range past {
			actions = append(actions, m.Action)
		}
		assert.Equal(t, []dockerevents.Action{"load", "tag", "untag", "untag", "delete"}, actions)
	})
}

func TestAnImageInUseKeepsItsContent(t *testing.T) {
	e := containerdtest.Embedded(t)
	ctx := t.Context()
	s := newService(t, e, noHook)
	_, err := s.Load(ctx, containerdtest.Archive(t, "small:1", small(t)), nil)
	require.NoError(t, err)
	i, err := s.Resolve(ctx, "small:1")
	require.NoError(t, err)
	container, err := e.Client().NewContainer(ctx, "c1", client.WithContainerLabels(map[string]string{images.ImageIDLabel: i.ID.String()}))
	require.NoError(t, err)

	_, err = s.Remove(ctx, "small:1", false, false)
	assert.ErrorIs(t, err, errdefs.ErrConflict)
	assert.ErrorContains(t, err, `conflict: unable to remove repository reference "small:1" (must force) - container c1 is using its referenced image`)
	_, err = s.Remove(ctx, i.ID.String(), false, false)
	assert.ErrorIs(t, err, errdefs.ErrConflict)

	removed, err := s.Remove(ctx, "small:1", true, false)
	require.NoError(t, err)
	assert.Len(t, removed, 1, "untagged, not deleted")
	_, err = s.Resolve(ctx, "small:1")
	assert.ErrorIs(t, err, errdefs.ErrNotFound)
	found, err := s.Resolve(ctx, i.ID.String())
	require.NoError(t, err)
	assert.Empty(t, found.Reference)
	report, err := s.Prune(ctx, nil)
	require.NoError(t, err)
	assert.Empty(t, report.ImagesDeleted)

	require.NoError(t, container.Delete(ctx))
	report, err = s.Prune(ctx, nil)
	require.NoError(t, err)
	assert.NotEmpty(t, report.ImagesDeleted)
	assert.Positive(t, report.SpaceReclaimed)
	requireNothing(t, e)
}

func TestATagThatMovesLeavesTheOldImageWithoutName(t *testing.T) {
	e := containerdtest.Embedded(t)
	ctx := t.Context()
	s := newService(t, e, noHook)
	r := containerdtest.NewRegistry(t)
	ref := r.Push(t, "test/small:1", small(t))
	old, err := s.Pull(ctx, named(t, ref), images.PullOptions{})
	require.NoError(t, err)
	r.Push(t, "test/small:1", containerdtest.Image(t, containerdtest.Layer(t, []tar.Header{{Name: "c", Typeflag: tar.TypeReg}}, nil)))
	_, err = s.Pull(ctx, named(t, ref), images.PullOptions{})
	require.NoError(t, err)

	list, err := s.List(ctx, images.ListOptions{Filters: filters.Args{"dangling": {"true": true}}})
	require.NoError(t, err)
	require.Len(t, list, 1)
	assert.Equal(t, old.ID.String(), list[0].ID)
	assert.Empty(t, list[0].RepoTags)
	report, err := s.Prune(ctx, nil)
	require.NoError(t, err)
	require.Len(t, report.ImagesDeleted, 1)
	assert.Equal(t, old.ID.String(), report.ImagesDeleted[0].Deleted)
}

func TestLoadRefusesWhatIsNoImage(t *testing.T) {
	e := containerdtest.Embedded(t)
	s := newService(t, e, noHook)
	whole, err := io.ReadAll(containerdtest.Archive(t, "small:1", small(t)))
	require.NoError(t, err)
	for name, text := range map[string]string{
		"empty":           "",
		"not a tar":       "hello",
		"gzip of nothing": "\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03",
		"cut off":         string(whole[:len(whole)/2]),
		"no manifest":     tarOf(t, map[string]string{"x": "y"}),
		"wrong manifest":  tarOf(t, map[string]string{"manifest.json": `{"a":1}`}),
		"config missing":  tarOf(t, map[string]string{"manifest.json": `[{"Config":"../../etc/passwd","Layers":[]}]`}),
		"bad name":        tarOf(t, map[string]string{"c.json": `{}`, "manifest.json": `[{"Config":"c.json","RepoTags":["../x"],"Layers":[]}]`}),
		"config no json":  tarOf(t, map[string]string{"c.json": `nope`, "manifest.json": `[{"Config":"c.json","RepoTags":["x:1"],"Layers":[]}]`}),
		"layer counts":    tarOf(t, map[string]string{"c.json": `{"rootfs":{"type":"layers","diff_ids":["sha256:` + strings.Repeat("a", 64) + `"]}}`, "manifest.json": `[{"Config":"c.json","RepoTags":["x:1"],"Layers":[]}]`}),
		"huge index":      tarOf(t, map[string]string{"oci-layout": `{"imageLayoutVersion":"1.0.0"}`, "index.json": strings.Repeat(" ", 9<<20)}),
	} {
		_, err := s.Load(t.Context(), strings.NewReader(text), nil)
		assert.ErrorIs(t, err, errdefs.ErrInvalidArgument, name)
		t.Log(name, "→", err)
		requireNothing(t, e)
	}
}

func TestLoadOnAFullDisk(t *testing.T) {
	c := smallDisk(t)
	e := containerdtest.Start(t, c)
	s := newService(t, e, noHook)
	fill := filepath.Join(c.Root, "fill")
	require.ErrorIs(t, os.WriteFile(fill, make([]byte, 16<<20), 0o600), unix.ENOSPC)
	_, err := s.Load(t.Context(), containerdtest.Archive(t, "small:1", small(t)), nil)
	require.ErrorContains(t, err, "the disk of the data root is full, free some space")
	assert.NotErrorIs(t, err, errdefs.ErrInvalidArgument)
	require.NoError(t, os.Remove(fill))
	requireNothing(t, e)
}

func tarOf(t *testing.T, files map[string]string) string {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for name, text := range files {
		require.NoError(t, w.WriteHeader(&tar.Header{Name: name, Typeflag: tar.TypeReg, Mode: 0o644, Size: int64(len(text))}))
		_, err := io.WriteString(w, text)
		require.NoError(t, err)
	}
	require.NoError(t, w.Close())
	return b.String()
}
