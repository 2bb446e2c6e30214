package api

import (
	"context"
	"encoding/json"
	"errors"
	"testing"

	"github.com/distribution/reference"
	"github.com/moby/moby/api/pkg/authconfig"
	"github.com/moby/moby/api/types/jsonstream"
	"github.com/moby/moby/api/types/registry"
	"github.com/moby/moby/client"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pouchfx/pouchfx/modules/images"
)

func (f *fakeImages) Push(_ context.Context, ref reference.Named, o images.PushOptions) error {
	f.name, f.pushed = ref.String(), o
	raw := json.RawMessage(`{"Tag":"v1"}`)
	o.Progress(jsonstream.Message{Status: "The push refers to repository [" + ref.Name() + "]"})
	o.Progress(jsonstream.Message{Progress: &jsonstream.Progress{}, Aux: &raw})
	return f.err
}

func TestPushStreamsItsProgress(t *testing.T) {
	d := startDaemon(t)
	auth, err := authconfig.Encode(registry.AuthConfig{Username: "u", Password: "p"})
	require.NoError(t, err)
	res, body := d.dial().do("POST", "/v1.44/images/127.0.0.1:5000/a/b/push?tag=v1", "", "X-Registry-Auth: "+auth)
	assert.Equal(t, 200, res.StatusCode)
	assert.Equal(t, "{\"status\":\"The push refers to repository [127.0.0.1:5000/a/b]\"}\r\n{\"progressDetail\":{},\"aux\":{\"Tag\":\"v1\"}}\r\n", body)
	assert.Equal(t, "127.0.0.1:5000/a/b:v1", d.images.name)
	assert.Equal(t, "u", d.images.pushed.Auth.Username)

	d.images.err = errors.New("denied")
	pushed, err := d.client().ImagePush(t.Context(), "a:v1", client.ImagePushOptions{RegistryAuth: auth})
	require.NoError(t, err, "errors come in the stream")
	assert.ErrorContains(t, pushed.Wait(t.Context()), "denied")
}

func TestPushReferences(t *testing.T) {
	for _, tc := range []struct{ name, tag, want string }{
		{"127.0.0.1:5000/a", "v1", "127.0.0.1:5000/a:v1"},
		{"a", "", "docker.io/library/a"},
		{"a:v1", "", "docker.io/library/a:v1"},
		{"a:v1", "v2", "docker.io/library/a:v2"},
	} {
		ref, err := pushReference(tc.name, tc.tag)
		require.NoError(t, err)
		assert.Equal(t, tc.want, ref.String())
	}
	for _, bad := range [][2]string{{"UP", ""}, {"a", "/"}, {"a", ":"}} {
		_, err := pushReference(bad[0], bad[1])
		assert.Error(t, err, bad)
	}
}
