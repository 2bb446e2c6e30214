package images_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/containerd/errdefs"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/moby/moby/api/types/registry"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pouchfx/pouchfx/modules/containerd/containerdtest"
)

func TestDistributionTellsWhatARegistryHas(t *testing.T) {
	e := containerdtest.Embedded(t)
	s := newService(t, e, noHook)
	r := containerdtest.NewPrivateRegistry(t, "joe", "secret")
	auth := &registry.AuthConfig{Username: "joe", Password: "secret"}
	r.Push(t, "one:1", small(t))
	found, err := s.Distribution(t.Context(), named(t, r.Host+"/one:1"), auth)
	require.NoError(t, err)
	d, err := small(t).Digest()
	require.NoError(t, err)
	assert.Equal(t, d.String(), found.Descriptor.Digest.String())
	assert.Len(t, found.Platforms, 1)
	requireNothing(t, e)

	open := containerdtest.NewRegistry(t)
	ref, err := name.ParseReference(open.Host+"/many:1", name.Insecure)
	require.NoError(t, err)
	require.NoError(t, remote.WriteIndex(ref, index(t, "s390x", "amd64")))
	found, err = s.Distribution(t.Context(), named(t, ref.String()), nil)
	require.NoError(t, err)
	require.Len(t, found.Platforms, 2)
	assert.Equal(t, "s390x", found.Platforms[0].Architecture)

	_, err = s.Distribution(t.Context(), named(t, r.Host+"/one:1"), nil)
	assert.ErrorContains(t, err, "may require 'docker login'")
	_, err = s.Distribution(t.Context(), named(t, r.Host+"/one:2"), auth)
	assert.ErrorIs(t, err, errdefs.ErrNotFound)
	_, err = s.Distribution(t.Context(), named(t, "127.0.0.1:1/one:2"), nil)
	assert.ErrorContains(t, err, "connection refused")
}

func TestDistributionChecksWhatItIsSent(t *testing.T) {
	s := newService(t, containerdtest.Embedded(t), noHook)
	r := containerdtest.NewRegistry(t, func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
			if req.Method != http.MethodGet || !strings.Contains(req.URL.Path, "/one/") {
				next.ServeHTTP(w, req)
				return
			}
			answer := &recorder{header: w.Header()}
			next.ServeHTTP(answer, req)
			body := answer.body.Bytes()
			body[len(body)-1] ^= 1
			_, _ = w.Write(body)
		})
	})
	ref, err := name.ParseReference(r.Host+"/one:1", name.Insecure)
	require.NoError(t, err)
	require.NoError(t, remote.Write(ref, small(t)))
	_, err = s.Distribution(t.Context(), named(t, ref.String()), nil)
	assert.ErrorContains(t, err, "its digest does not match")
}
