package api

import (
	"context"
	"testing"

	"github.com/distribution/reference"
	"github.com/moby/moby/api/types/registry"
	"github.com/moby/moby/client"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pouchfx/pouchfx/modules/images"
)

func (f *fakeImages) Distribution(_ context.Context, ref reference.Named, _ *registry.AuthConfig) (registry.DistributionInspect, error) {
	f.name = ref.String()
	return registry.DistributionInspect{Platforms: []ocispec.Platform{{OS: "linux", Architecture: "amd64"}}}, f.err
}

func (f *fakeImages) Search(_ context.Context, term string, o images.SearchOptions) ([]registry.SearchResult, error) {
	f.name, f.searched = term, o
	return nil, f.err
}

func TestDistribution(t *testing.T) {
	d := startDaemon(t)
	found, err := d.client().DistributionInspect(t.Context(), "127.0.0.1:5000/a/b:1", client.DistributionInspectOptions{})
	require.NoError(t, err)
	assert.Len(t, found.Platforms, 1)
	assert.Equal(t, "127.0.0.1:5000/a/b:1", d.images.name)
	res, _ := d.dial().do("GET", "/distribution/UP/json", "")
	assert.Equal(t, 400, res.StatusCode)
}

func TestSearch(t *testing.T) {
	d := startDaemon(t)
	res, body := d.dial().do("GET", `/v1.44/images/search?term=foo&limit=7&filters={"stars":{"3":true}}`, "")
	assert.Equal(t, 200, res.StatusCode)
	assert.Equal(t, "[]\n", body)
	assert.Equal(t, "foo", d.images.name)
	assert.Equal(t, 7, d.images.searched.Limit)
	assert.Equal(t, []string{"3"}, d.images.searched.Filters.Get("stars"))
	res, _ = d.dial().do("GET", "/images/search?term=foo&limit=x", "")
	assert.Equal(t, 400, res.StatusCode)
}
