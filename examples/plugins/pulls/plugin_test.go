package pulls

import (
	"context"
	"encoding/json"
	"errors"
	"net/http/httptest"
	"testing"

	containerd "github.com/containerd/containerd/v2/client"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// image answers what the plugin asks of an image.
type image struct {
	containerd.Image
	err error
}

func (image) Name() string               { return "docker.io/library/a:1" }
func (image) Target() ocispec.Descriptor { return ocispec.Descriptor{Digest: "sha256:abc"} }

func (i image) Size(context.Context) (int64, error) { return 42, i.err }

func TestPullsAreNotedAndShown(t *testing.T) {
	p, err := New(struct{}{})
	require.NoError(t, err)
	for range keep + 1 {
		require.NoError(t, p.PostPull(t.Context(), "overlayfs", image{}))
	}
	routes := p.UpdateHandler(t.Context(), nil)
	require.Len(t, routes, 1)
	w := httptest.NewRecorder()
	require.NoError(t, routes[0].HandlerFunc(t.Context(), w, httptest.NewRequest("GET", routes[0].Path, nil)))
	var got []Pull
	require.NoError(t, json.Unmarshal(w.Body.Bytes(), &got))
	assert.Len(t, got, keep)
	assert.Equal(t, Pull{"docker.io/library/a:1", "sha256:abc", "overlayfs", 42}, got[0])
}

func TestAnImageThatCannotBeReadFailsThePull(t *testing.T) {
	boom := errors.New("boom")
	p, err := New(struct{}{})
	require.NoError(t, err)
	assert.ErrorIs(t, p.PostPull(t.Context(), "overlayfs", image{err: boom}), boom)
}
