package images_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/containerd/errdefs"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pouchfx/pouchfx/modules/containerd/containerdtest"
	"github.com/pouchfx/pouchfx/modules/images"
)

// index is an index of images, one for each architecture.
func index(t *testing.T, architectures ...string) v1.ImageIndex {
	t.Helper()
	var all []mutate.IndexAddendum
	for _, a := range architectures {
		img := containerdtest.Image(t, containerdtest.Layer(t, []tar.Header{{Name: a, Typeflag: tar.TypeReg}}, nil))
		config, err := img.ConfigFile()
		require.NoError(t, err)
		config.OS, config.Architecture = "linux", a
		img, err = mutate.ConfigFile(img, config)
		require.NoError(t, err)
		all = append(all, mutate.IndexAddendum{Add: img, Descriptor: v1.Descriptor{Platform: &v1.Platform{OS: "linux", Architecture: a}}})
	}
	return mutate.AppendManifests(empty.Index, all...)
}

func TestPullChoosesThePlatform(t *testing.T) {
	e := containerdtest.Embedded(t)
	s := newService(t, e, noHook)
	r := containerdtest.NewRegistry(t)
	push := func(repository string, i v1.ImageIndex) string {
		ref, err := name.ParseReference(r.Host+"/"+repository, name.Insecure)
		require.NoError(t, err)
		require.NoError(t, remote.WriteIndex(ref, i))
		return ref.String()
	}
	both := push("both:1", index(t, "s390x", "amd64", "arm64"))
	host := runtime.GOARCH
	i, err := s.Pull(t.Context(), named(t, both), images.PullOptions{})
	require.NoError(t, err)
	assert.Equal(t, host, i.Spec.Architecture)

	i, err = s.Pull(t.Context(), named(t, both), images.PullOptions{Platform: &ocispec.Platform{OS: "linux", Architecture: "s390x"}})
	require.NoError(t, err)
	assert.Equal(t, "s390x", i.Spec.Architecture)

	foreign := push("foreign:1", index(t, "s390x"))
	_, err = s.Pull(t.Context(), named(t, foreign), images.PullOptions{})
	assert.ErrorIs(t, err, errdefs.ErrNotFound)
	assert.ErrorContains(t, err, "no matching manifest for linux/"+host)
	_, err = s.Pull(t.Context(), named(t, foreign), images.PullOptions{Platform: &ocispec.Platform{OS: "linux", Architecture: "s390x"}})
	require.NoError(t, err)
	i, err = s.Resolve(t.Context(), foreign)
	require.NoError(t, err)
	assert.Equal(t, "s390x", i.Spec.Architecture, "an image of another platform can be looked at")

	for _, ref := range []string{both, foreign} {
		_, err := s.Remove(t.Context(), ref, false, false)
		require.NoError(t, err)
	}
	requireNothing(t, e)
}

func TestLoadOCILayout(t *testing.T) {
	e := containerdtest.Embedded(t)
	s := newService(t, e, noHook)
	dir := t.TempDir()
	path, err := layout.Write(dir, empty.Index)
	require.NoError(t, err)
	named := layout.WithAnnotations(map[string]string{"io.containerd.image.name": "docker.io/library/named:1"})
	require.NoError(t, path.AppendIndex(index(t, "s390x", "amd64", "arm64"), named))
	require.NoError(t, path.AppendImage(small(t)))

	loaded, err := s.Load(t.Context(), gzipped(t, tarOfDir(t, dir)), nil)
	require.NoError(t, err)
	unnamed, err := small(t).ConfigName()
	require.NoError(t, err)
	assert.Equal(t, []string{"named:1", unnamed.String()}, loaded)
	for _, name := range loaded {
		_, err := s.Remove(t.Context(), name, false, false)
		require.NoError(t, err, name)
	}
	requireNothing(t, e)
}

func tarOfDir(t *testing.T, dir string) io.Reader {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	require.NoError(t, w.AddFS(os.DirFS(filepath.Clean(dir))))
	require.NoError(t, w.Close())
	return &b
}

func gzipped(t *testing.T, r io.Reader) io.Reader {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	_, err := io.Copy(z, r)
	require.NoError(t, err)
	require.NoError(t, z.Close())
	return &b
}
