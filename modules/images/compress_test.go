package images_test

import (
	"bytes"
	"strings"
	"testing"

	"github.com/containerd/errdefs"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/google/go-containerregistry/pkg/v1/validate"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pouchfx/pouchfx/modules/containerd"
	"github.com/pouchfx/pouchfx/modules/containerd/containerdtest"
	"github.com/pouchfx/pouchfx/modules/images"
)

// atRegistry is what a registry has under a name.
func atRegistry(t *testing.T, ref string) (img v1.Image, digest string, layer types.MediaType) {
	t.Helper()
	parsed, err := name.ParseReference(ref, name.Insecure)
	require.NoError(t, err)
	img, err = remote.Image(parsed)
	require.NoError(t, err)
	sum, err := img.Digest()
	require.NoError(t, err)
	manifest, err := img.Manifest()
	require.NoError(t, err)
	return img, sum.String(), manifest.Layers[0].MediaType
}

func TestWhatIsMadeHereIsCompressedWhenItIsPushed(t *testing.T) {
	containerdtest.Both(t, func(t *testing.T, e *containerd.Engine) {
		s := newService(t, e, noHook)
		r := containerdtest.NewRegistry(t)
		ref := r.Host + "/test/made"
		id, err := s.Import(t.Context(), images.ImportOptions{
			Source: strings.NewReader(tarOf(t, map[string]string{"zeroes": strings.Repeat("\x00", 1<<20)})), Target: target(t, ref+":1"),
		})
		require.NoError(t, err)
		tag(t, s, ref+":1", ref+":2")
		before, err := s.Resolve(t.Context(), ref+":1")
		require.NoError(t, err)
		plain := before.Layers[0]
		assert.Equal(t, ocispec.MediaTypeImageLayer, plain.MediaType)
		assert.Equal(t, before.Spec.RootFS.DiffIDs[0], plain.Digest)

		require.NoError(t, s.Push(t.Context(), named(t, ref), images.PushOptions{}))
		for _, tag := range []string{":1", ":2"} {
			img, digest, layer := atRegistry(t, ref+tag)
			require.NoError(t, validate.Image(img))
			config, err := img.ConfigName()
			require.NoError(t, err)
			assert.Equal(t, id.String(), config.String())
			assert.Equal(t, types.OCILayer, layer)
			after, err := s.Resolve(t.Context(), ref+tag)
			require.NoError(t, err)
			assert.Equal(t, digest, after.Target().Digest.String())
			assert.Less(t, after.Layers[0].Size, int64(10<<10))
		}
		containerdtest.Collect(t, e)
		_, err = e.Client().ContentStore().Info(t.Context(), plain.Digest)
		require.True(t, errdefs.IsNotFound(err), "nobody needs the plain layer: %v", err)
		var again said
		require.NoError(t, s.Push(t.Context(), named(t, ref+":1"), images.PushOptions{Progress: again.add}))
		assert.Contains(t, again.text(), " Layer already exists")
		requireNoLeases(t, e)
	})
}

// Its digest is known elsewhere.
func TestWhatWasLoadedIsPushedAsItIs(t *testing.T) {
	e := containerdtest.Embedded(t)
	s := newService(t, e, noHook)
	ref := containerdtest.NewRegistry(t).Host + "/test/made:1"
	_, err := s.Import(t.Context(), images.ImportOptions{Source: strings.NewReader(tarOf(t, map[string]string{"a": "b"})), Target: target(t, ref)})
	require.NoError(t, err)
	var saved bytes.Buffer
	require.NoError(t, s.Save(t.Context(), []string{ref}, &saved))
	made, err := s.Resolve(t.Context(), ref)
	require.NoError(t, err)
	_, err = s.Remove(t.Context(), ref, false, false)
	require.NoError(t, err)
	containerdtest.Collect(t, e)
	_, err = e.Client().ContentStore().Info(t.Context(), made.Layers[0].Digest)
	require.True(t, errdefs.IsNotFound(err), "%v", err)
	_, err = s.Load(t.Context(), &saved, nil)
	require.NoError(t, err)
	require.NoError(t, s.Push(t.Context(), named(t, ref), images.PushOptions{}))
	_, digest, layer := atRegistry(t, ref)
	assert.Equal(t, made.Target().Digest.String(), digest)
	assert.Equal(t, types.OCIUncompressedLayer, layer)
}
