package images_test

import (
	"archive/tar"
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/containerd/errdefs"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/validate"
	dockerevents "github.com/moby/moby/api/types/events"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pouchfx/pouchfx/modules/containerd"
	"github.com/pouchfx/pouchfx/modules/containerd/containerdtest"
	"github.com/pouchfx/pouchfx/modules/events"
	"github.com/pouchfx/pouchfx/modules/images"
)

func save(t *testing.T, s *images.Service, names ...string) []byte {
	t.Helper()
	var b bytes.Buffer
	require.NoError(t, s.Save(t.Context(), names, &b))
	return b.Bytes()
}

// untar unpacks an archive that was just made.
func untar(t *testing.T, text []byte) string {
	t.Helper()
	dir := t.TempDir()
	for r := tar.NewReader(bytes.NewReader(text)); ; {
		h, err := r.Next()
		if err == io.EOF {
			return dir
		}
		require.NoError(t, err)
		path := filepath.Join(dir, h.Name)
		if h.Typeflag == tar.TypeDir {
			require.NoError(t, os.Mkdir(path, 0o755))
			continue
		}
		content, err := io.ReadAll(r)
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(path, content, 0o600))
	}
}

func TestWhatIsSavedCanBeReadByAll(t *testing.T) {
	containerdtest.Both(t, func(t *testing.T, e *containerd.Engine) {
		bus := events.New()
		s := images.New(e, hook(noHook), bus, containerdtest.Log(t), images.Config{})
		load(t, s, "small:1")
		tag(t, s, "small:1", "reg.example.com/other:2")
		third := containerdtest.Image(t, containerdtest.Layer(t, []tar.Header{{Name: "c", Typeflag: tar.TypeReg}}, nil))
		_, err := s.Load(t.Context(), containerdtest.Archive(t, "third:1", third), nil)
		require.NoError(t, err)
		small, err := s.Resolve(t.Context(), "small:1")
		require.NoError(t, err)
		saved := save(t, s, "small:1", "reg.example.com/other:2", "third:1")
		assert.Equal(t, saved, save(t, s, "small:1", "reg.example.com/other:2", "third:1", "third:1"), "the same images give the same bytes")
		requireNoLeases(t, e)
		past, _, cancel := bus.Subscribe(time.Now().Add(-time.Hour), time.Now())
		cancel()
		assert.Equal(t, dockerevents.ActionSave, past[len(past)-1].Action)

		path := filepath.Join(t.TempDir(), "saved.tar")
		require.NoError(t, os.WriteFile(path, saved, 0o600))
		for _, ref := range []string{"small:1", "reg.example.com/other:2", "third:1"} {
			tag, err := name.NewTag(ref)
			require.NoError(t, err)
			img, err := tarball.ImageFromPath(path, &tag)
			require.NoError(t, err, ref)
			require.NoError(t, validate.Image(img), ref)
		}
		l, err := layout.FromPath(untar(t, saved))
		require.NoError(t, err)
		index, err := l.ImageIndex()
		require.NoError(t, err)
		require.NoError(t, validate.Index(index))
		manifest, err := index.IndexManifest()
		require.NoError(t, err)
		assert.Len(t, manifest.Manifests, 3)

		byID := save(t, s, small.ID.Encoded()[:12])
		for _, ref := range []string{"small:1", "reg.example.com/other:2", "third:1"} {
			_, err := s.Remove(t.Context(), ref, false, false)
			require.NoError(t, err)
		}
		requireNothing(t, e)
		loaded, err := s.Load(t.Context(), bytes.NewReader(saved), nil)
		require.NoError(t, err)
		assert.Equal(t, []string{"small:1", "reg.example.com/other:2", "third:1"}, loaded)
		for _, ref := range loaded {
			_, err := s.Remove(t.Context(), ref, false, false)
			require.NoError(t, err)
		}
		loaded, err = s.Load(t.Context(), bytes.NewReader(byID), nil)
		require.NoError(t, err)
		assert.Equal(t, []string{small.ID.String()}, loaded)
	})
}

func TestSaveOfARepositorySavesAllItsTags(t *testing.T) {
	e := containerdtest.Embedded(t)
	s := newService(t, e, noHook)
	load(t, s, "small:1")
	tag(t, s, "small:1", "small:2")
	tag(t, s, "small:1", "smaller:3")
	dir := untar(t, save(t, s, "small"))
	text, err := os.ReadFile(filepath.Join(dir, "manifest.json"))
	require.NoError(t, err)
	assert.Contains(t, string(text), `"RepoTags":["small:1","small:2"]`)
}

func TestSaveWritesNothingWhenAnImageIsMissing(t *testing.T) {
	e := containerdtest.Embedded(t)
	s := newService(t, e, noHook)
	load(t, s, "small:1")
	var b bytes.Buffer
	err := s.Save(t.Context(), []string{"small:1", "nosuch"}, &b)
	assert.ErrorIs(t, err, errdefs.ErrNotFound)
	assert.ErrorContains(t, err, "No such image: nosuch")
	assert.ErrorIs(t, s.Save(t.Context(), nil, &b), errdefs.ErrInvalidArgument)
	assert.Zero(t, b.Len())
	requireNoLeases(t, e)
}

func TestSaveOfAnIndexOfWhichOnePlatformIsHere(t *testing.T) {
	e := containerdtest.Embedded(t)
	s := newService(t, e, noHook)
	ref, i := pulledIndex(t, s)
	saved := save(t, s, ref)
	_, err := s.Remove(t.Context(), ref, false, false)
	require.NoError(t, err)
	requireNothing(t, e)
	_, err = s.Load(t.Context(), bytes.NewReader(saved), nil)
	require.NoError(t, err)
	again, err := s.Resolve(t.Context(), ref)
	require.NoError(t, err)
	assert.Equal(t, i.ID, again.ID)
	assert.Equal(t, i.Target().Digest, again.Target().Digest)
}

// leaving is a client that goes away after some bytes, and what happens then.
type leaving struct {
	left int
	then func()
}

var errLeft = errors.New("client left")

func (l *leaving) Write(p []byte) (int, error) {
	if l.left -= len(p); l.left < 0 {
		if l.then == nil {
			return 0, errLeft
		}
		l.then()
		l.then = func() {}
	}
	return len(p), nil
}

func TestSaveForAClientThatGoesAwayHoldsNothing(t *testing.T) {
	e := containerdtest.Embedded(t)
	s := newService(t, e, noHook)
	load(t, s, "small:1")
	assert.ErrorIs(t, s.Save(t.Context(), []string{"small:1"}, &leaving{left: 1000}), errLeft)
	ctx, cancel := context.WithCancel(t.Context())
	assert.ErrorIs(t, s.Save(ctx, []string{"small:1"}, &leaving{left: 1000, then: cancel}), context.Canceled)
	requireNoLeases(t, e)
}

func TestSaveOfAnImageThatIsRemovedMeanwhile(t *testing.T) {
	e := containerdtest.Embedded(t)
	s := newService(t, e, noHook)
	load(t, s, "small:1")
	require.NoError(t, s.Save(t.Context(), []string{"small:1"}, &leaving{left: 100, then: func() {
		_, err := s.Remove(t.Context(), "small:1", false, false)
		require.NoError(t, err)
	}}))
	_, err := s.Prune(t.Context(), nil)
	require.NoError(t, err)
}

func TestLoadTakesFromAnArchiveOnlyWhatBelongsIntoOne(t *testing.T) {
	e := containerdtest.Embedded(t)
	s := newService(t, e, noHook)
	whole, err := io.ReadAll(containerdtest.Archive(t, "small:1", small(t)))
	require.NoError(t, err)
	outside := filepath.Join(t.TempDir(), "outside")
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, h := range []tar.Header{
		{Name: "../../../../" + outside, Typeflag: tar.TypeReg},
		{Name: outside, Typeflag: tar.TypeReg},
		{Name: "dev", Typeflag: tar.TypeBlock, Devmajor: 8},
		{Name: "pipe", Typeflag: tar.TypeFifo},
		{Name: "hard", Typeflag: tar.TypeLink, Linkname: "/etc/passwd"},
	} {
		require.NoError(t, w.WriteHeader(&h))
	}
	require.NoError(t, w.Flush())
	b.Write(whole)
	loaded, err := s.Load(t.Context(), &b, nil)
	require.NoError(t, err)
	assert.Equal(t, []string{"small:1"}, loaded)
	assert.NoFileExists(t, outside)
}

func TestLoadBoundsWhatItKeepsInMemory(t *testing.T) {
	e := containerdtest.Embedded(t)
	s := newService(t, e, noHook)
	many := func(count int, h tar.Header) io.Reader {
		r, w := io.Pipe()
		go func() {
			buffered := bufio.NewWriterSize(w, 64<<10)
			out := tar.NewWriter(buffered)
			for range count {
				if out.WriteHeader(&h) != nil {
					return
				}
			}
			_ = w.CloseWithError(buffered.Flush())
		}()
		return r
	}
	for name, archive := range map[string]io.Reader{
		"more than 100000 entries":     many(100_200, tar.Header{Name: "a", Linkname: "b", Typeflag: tar.TypeSymlink}),
		"a name of more than 4096":     many(1, tar.Header{Name: strings.Repeat("a", 5000), Typeflag: tar.TypeReg}),
		"a manifest.json of 3145728 b": strings.NewReader(tarOf(t, map[string]string{"manifest.json": strings.Repeat(" ", 3<<20)})),
	} {
		_, err := s.Load(t.Context(), archive, nil)
		assert.ErrorIs(t, err, errdefs.ErrInvalidArgument)
		assert.ErrorContains(t, err, name)
		requireNothing(t, e)
	}
}
