package images_test

import (
	"archive/tar"
	"bytes"
	"context"
	"io"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/containerd/errdefs"
	"github.com/distribution/reference"
	dockerevents "github.com/moby/moby/api/types/events"
	"github.com/opencontainers/image-spec/identity"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pouchfx/pouchfx/modules/containerd"
	"github.com/pouchfx/pouchfx/modules/containerd/containerdtest"
	"github.com/pouchfx/pouchfx/modules/events"
	"github.com/pouchfx/pouchfx/modules/images"
)

func target(t *testing.T, name string) reference.NamedTagged {
	return reference.TagNameOnly(named(t, name)).(reference.NamedTagged)
}

func TestImport(t *testing.T) {
	containerdtest.Both(t, func(t *testing.T, e *containerd.Engine) {
		bus := events.New()
		s := images.New(e, hook(noHook), bus, containerdtest.Log(t), images.Config{})
		files := tarOf(t, map[string]string{"etc/motd": "hello\n"})
		id, err := s.Import(t.Context(), images.ImportOptions{
			Source: strings.NewReader(files), Target: target(t, "imp:1"), Message: "from afar",
			Changes: []string{`CMD ["sh"]`, "LABEL a=b"},
		})
		require.NoError(t, err)
		i, err := s.Resolve(t.Context(), "imp:1")
		require.NoError(t, err)
		assert.Equal(t, id, i.ID)
		assert.Equal(t, []string{"sh"}, i.Config.Cmd)
		assert.Equal(t, "linux", i.Spec.OS)
		history, err := s.History(t.Context(), "imp:1")
		require.NoError(t, err)
		require.Len(t, history, 1)
		assert.Equal(t, "from afar", history[0].Comment)
		assert.Positive(t, history[0].Size)
		mounted, err := e.Client().SnapshotService(e.Snapshotter()).Stat(t.Context(), identity.ChainID(i.Spec.RootFS.DiffIDs).String())
		require.NoError(t, err, "it is unpacked")
		assert.NotEmpty(t, mounted.Name)
		requireNoLeases(t, e)

		second, err := s.Import(t.Context(), images.ImportOptions{Source: gzipped(t, strings.NewReader(files))})
		require.NoError(t, err)
		again, err := s.Resolve(t.Context(), second.String())
		require.NoError(t, err)
		assert.Equal(t, i.Layers, again.Layers, "the same files make the same layer")
		assert.Empty(t, again.Reference)

		past, _, cancel := bus.Subscribe(time.Now().Add(-time.Hour), time.Now())
		cancel()
		require.Len(t, past, 3)
		assert.Equal(t, dockerevents.ActionTag, past[0].Action)
		assert.Equal(t, map[string]string{"name": "imp:1", "a": "b"}, past[0].Actor.Attributes)
		assert.Equal(t, dockerevents.ActionImport, past[1].Action)
		assert.Equal(t, map[string]string{"name": id.String(), "a": "b"}, past[1].Actor.Attributes)

		for _, name := range []string{"imp:1", second.String()} {
			_, err := s.Remove(t.Context(), name, false, false)
			require.NoError(t, err)
		}
		requireNothing(t, e)
	})
}

func TestImportRefusals(t *testing.T) {
	e := containerdtest.Embedded(t)
	s := newService(t, e, noHook)
	whole := tarOf(t, map[string]string{"a": strings.Repeat("x", 10_000)})
	for name, o := range map[string]images.ImportOptions{
		"no tar":           {Source: strings.NewReader("garbage, and more of it than fits into a header" + strings.Repeat("!", 1000))},
		"cut off":          {Source: strings.NewReader(whole[:len(whole)/2])},
		"cut off in gzip":  {Source: io.LimitReader(gzipped(t, strings.NewReader(whole)), 50)},
		"another platform": {Source: strings.NewReader(whole), Platform: &ocispec.Platform{OS: "windows", Architecture: "amd64"}},
		"bad change":       {Source: strings.NewReader(whole), Changes: []string{"RUN x"}},
	} {
		o.Target = target(t, "imp:1")
		_, err := s.Import(t.Context(), o)
		assert.ErrorIs(t, err, errdefs.ErrInvalidArgument, name)
		t.Log(name, "→", err)
		requireNothing(t, e)
	}
}

// Files of an image are written inside its own root, whatever they are called.
func TestImportOfHostileFilesEscapesNothing(t *testing.T) {
	e := containerdtest.Embedded(t)
	s := newService(t, e, noHook)
	outside := t.TempDir()
	for name, entries := range map[string][]tar.Header{
		"parent":        {{Name: "../../../../../../../../../.." + outside + "/x", Typeflag: tar.TypeReg, Mode: 0o644}},
		"absolute":      {{Name: outside + "/x", Typeflag: tar.TypeReg, Mode: 0o644}},
		"symbolic link": {{Name: "l", Typeflag: tar.TypeSymlink, Linkname: outside}, {Name: "l/x", Typeflag: tar.TypeReg, Mode: 0o644}},
		"hard link":     {{Name: "l", Typeflag: tar.TypeLink, Linkname: "/etc/passwd"}},
	} {
		var b bytes.Buffer
		w := tar.NewWriter(&b)
		for _, h := range entries {
			require.NoError(t, w.WriteHeader(&h))
		}
		require.NoError(t, w.Close())
		id, err := s.Import(t.Context(), images.ImportOptions{Source: &b})
		t.Log(name, "→", err)
		if err == nil {
			_, err = s.Remove(t.Context(), id.String(), false, false)
			require.NoError(t, err)
		}
		requireNothing(t, e)
	}
	left, err := os.ReadDir(outside)
	require.NoError(t, err)
	assert.Empty(t, left)
}

func TestImportFromAClientThatGoesAwayLeavesNothing(t *testing.T) {
	e := containerdtest.Embedded(t)
	s := newService(t, e, noHook)
	ctx, cancel := context.WithCancel(t.Context())
	whole := tarOf(t, map[string]string{"a": strings.Repeat("x", 1<<20)})
	_, err := s.Import(ctx, images.ImportOptions{Source: io.MultiReader(strings.NewReader(whole[:1<<19]), gone(cancel))})
	require.Error(t, err)
	requireNothing(t, e)
}

// gone is what is read from a client that has left.
type gone func()

func (g gone) Read([]byte) (int, error) {
	g()
	return 0, io.ErrUnexpectedEOF
}

func TestImportOnAFullDisk(t *testing.T) {
	c := smallDisk(t)
	e := containerdtest.Start(t, c)
	s := newService(t, e, noHook)
	noise := make([]byte, 20<<20)
	f, err := os.Open("/dev/urandom")
	require.NoError(t, err)
	_, err = io.ReadFull(f, noise)
	require.NoError(t, err)
	require.NoError(t, f.Close())
	_, err = s.Import(t.Context(), images.ImportOptions{Source: strings.NewReader(tarOf(t, map[string]string{"noise": string(noise)}))})
	require.ErrorContains(t, err, "the disk of the data root is full, free some space")
	assert.NotErrorIs(t, err, errdefs.ErrInvalidArgument)
	requireNothing(t, e)
}
