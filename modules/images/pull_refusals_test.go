package images_test

import (
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/stretchr/testify/require"

	"github.com/pouchfx/pouchfx/modules/containerd/containerdtest"
	"github.com/pouchfx/pouchfx/modules/images"
)

func TestPullOfWhatIsNoImage(t *testing.T) {
	e := containerdtest.Embedded(t)
	s := newService(t, e, noHook)
	r := containerdtest.NewRegistry(t)
	helm, err := mutate.AppendLayers(mutate.ConfigMediaType(mutate.MediaType(empty.Image, types.OCIManifestSchema1), "application/vnd.cncf.helm.config.v1+json"),
		static.NewLayer([]byte("a chart"), "application/vnd.cncf.helm.chart.content.v1.tar+gzip"))
	require.NoError(t, err)
	garbage, err := mutate.AppendLayers(empty.Image, static.NewLayer([]byte("no tar at all"), types.DockerLayer))
	require.NoError(t, err)
	for name, img := range map[string]v1.Image{"helm": helm, "garbage": garbage} {
		ref := r.Push(t, "test/"+name+":1", img)
		_, err := s.Pull(t.Context(), named(t, ref), images.PullOptions{})
		require.Error(t, err)
		t.Log(name, "→", err)
		requireNothing(t, e)
	}
	for _, mediaType := range []string{"text/html", "application/vnd.docker.distribution.manifest.v1+prettyjws", "", "application/vnd.oci.image.index.v1+json"} {
		var pushed atomic.Bool
		odd := containerdtest.NewRegistry(t, func(next http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
				if pushed.Load() && strings.Contains(req.URL.Path, "/manifests/") {
					answer := &recorder{header: http.Header{}}
					next.ServeHTTP(answer, req)
					w.Header().Set("Content-Type", mediaType)
					w.Header().Set("Docker-Content-Digest", answer.header.Get("Docker-Content-Digest"))
					w.Header().Set("Content-Length", answer.header.Get("Content-Length"))
					_, _ = w.Write(answer.body.Bytes())
					return
				}
				next.ServeHTTP(w, req)
			})
		})
		ref := odd.Push(t, "test/odd:1", small(t))
		pushed.Store(true)
		_, err := s.Pull(t.Context(), named(t, ref), images.PullOptions{})
		require.Error(t, err, mediaType)
		t.Log(mediaType, "→", err)
		requireNothing(t, e)
	}
}

func TestPullOntoAFullDisk(t *testing.T) {
	c := smallDisk(t)
	e := containerdtest.Start(t, c)
	s := newService(t, e, noHook)
	noise, err := random.Image(20<<20, 1)
	require.NoError(t, err)
	_, err = s.Pull(t.Context(), named(t, containerdtest.NewRegistry(t).Push(t, "big:1", noise)), images.PullOptions{})
	require.ErrorContains(t, err, "the disk of the data root is full, free some space")
	requireNothing(t, e)
}
