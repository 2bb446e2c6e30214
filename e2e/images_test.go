package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"iter"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	cerrdefs "github.com/containerd/errdefs"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/moby/moby/api/pkg/authconfig"
	"github.com/moby/moby/api/types/jsonstream"
	apiregistry "github.com/moby/moby/api/types/registry"
	"github.com/moby/moby/client"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// pull pulls and returns the stream as text.
func (d *daemon) pull(ref string, o client.ImagePullOptions) (string, error) {
	res, err := d.client.ImagePull(context.Background(), ref, o)
	if err != nil {
		return "", err
	}
	return progress(res)
}

// progress returns a stream of messages as text, with what it failed with.
func progress(stream interface {
	io.Closer
	JSONMessages(context.Context) iter.Seq2[jsonstream.Message, error]
}) (string, error) {
	defer stream.Close()
	var text strings.Builder
	for m, err := range stream.JSONMessages(context.Background()) {
		if err != nil {
			return text.String(), err
		}
		if m.Error != nil {
			return text.String(), m.Error
		}
		fmt.Fprintln(&text, m.ID, m.Status)
		if m.Aux != nil {
			text.Write(*m.Aux)
		}
	}
	return text.String(), nil
}

func TestPullShowsProgressAndIsIdempotent(t *testing.T) {
	onBoth(t, func(t *testing.T, d *daemon) {
		img, err := boxImage()
		require.NoError(t, err)
		ref := push(t, loopbackRegistry(t), "library/box:1", img)
		text, err := d.pull(ref, client.ImagePullOptions{})
		require.NoError(t, err)
		assert.Contains(t, text, "Pulling from library/box")
		assert.Contains(t, text, "Status: Downloaded newer image for "+ref)
		text, err = d.pull(ref, client.ImagePullOptions{})
		require.NoError(t, err)
		assert.Contains(t, text, "Status: Image is up to date for "+ref)

		inspected, err := d.client.ImageInspect(testContext(t), ref)
		require.NoError(t, err)
		config, err := img.ConfigName()
		require.NoError(t, err)
		assert.Equal(t, config.String(), inspected.ID)
		assert.Contains(t, inspected.RepoTags, ref)

		_, err = d.client.ImageTag(testContext(t), client.ImageTagOptions{Source: ref, Target: "mine:v1"})
		require.NoError(t, err)
		res, err := d.client.ImageRemove(testContext(t), "mine:v1", client.ImageRemoveOptions{})
		require.NoError(t, err)
		assert.Equal(t, "mine:v1", res.Items[0].Untagged)
	})
}

func TestPullOfAMissingImageIsNotFound(t *testing.T) {
	onBoth(t, func(t *testing.T, d *daemon) {
		_, err := d.pull(loopbackRegistry(t)+"/nosuch:1", client.ImagePullOptions{})
		assert.True(t, cerrdefs.IsNotFound(err), "%v", err)
		_, err = d.pull("127.0.0.1:1/nosuch:1", client.ImagePullOptions{})
		assert.Error(t, err)
	})
}

func TestPullWithCredentials(t *testing.T) {
	handler := registry.New(registry.Logger(log.New(io.Discard, "", 0)))
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if user, password, _ := r.BasicAuth(); user != "u" || password != "p" {
			w.Header().Set("WWW-Authenticate", `Basic realm="test"`)
			http.Error(w, `{"errors":[{"code":"UNAUTHORIZED","message":"authentication required"}]}`, http.StatusUnauthorized)
			return
		}
		handler.ServeHTTP(w, r)
	}))
	defer server.Close()
	img, err := boxImage()
	require.NoError(t, err)
	host := strings.TrimPrefix(server.URL, "http://")
	ref, err := name.ParseReference(host + "/private:1")
	require.NoError(t, err)
	require.NoError(t, remote.Write(ref, img, remote.WithTransport(basicAuth{})))
	d := sharedDaemon(t, embedded)
	_, err = d.pull(ref.String(), client.ImagePullOptions{})
	require.Error(t, err, "without credentials")
	auth, err := authconfig.Encode(apiregistry.AuthConfig{Username: "u", Password: "p", ServerAddress: host})
	require.NoError(t, err)
	_, err = d.pull(ref.String(), client.ImagePullOptions{RegistryAuth: auth})
	require.NoError(t, err)
}

type basicAuth struct{}

func (basicAuth) RoundTrip(r *http.Request) (*http.Response, error) {
	r.SetBasicAuth("u", "p")
	return http.DefaultTransport.RoundTrip(r)
}

// A registry that sends half a layer, or other bytes than the digest says,
// leaves an error in the stream and nothing else.
func TestPullFromABrokenRegistryLeavesNothing(t *testing.T) {
	for _, tc := range []struct {
		name string
		send func(w http.ResponseWriter, size string)
	}{
		{"stops half-way", func(w http.ResponseWriter, size string) {
			w.Header().Set("Content-Length", size)
			w.Write(make([]byte, 1000))
			panic(http.ErrAbortHandler)
		}},
		{"sends other bytes", func(w http.ResponseWriter, size string) {
			var n int64
			fmt.Sscan(size, &n)
			w.Header().Set("Content-Length", size)
			io.CopyN(w, zeroes{}, n)
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			handler := registry.New(registry.Logger(log.New(io.Discard, "", 0)))
			var breaking atomic.Bool
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if !breaking.Load() || !strings.Contains(r.URL.Path, "/blobs/") || r.Method != http.MethodGet {
					handler.ServeHTTP(w, r)
					return
				}
				recorded := httptest.NewRecorder()
				handler.ServeHTTP(recorded, r)
				if recorded.Body.Len() < 100_000 { // the image's configuration
					w.Write(recorded.Body.Bytes())
					return
				}
				tc.send(w, fmt.Sprint(recorded.Body.Len()))
			}))
			defer server.Close()
			d := ownDaemon(t, built.daemon, embedded)
			img, err := boxImage()
			require.NoError(t, err)
			ref := push(t, strings.TrimPrefix(server.URL, "http://"), "broken:1", img)
			breaking.Store(true)
			_, err = d.pull(ref, client.ImagePullOptions{})
			require.Error(t, err)
			list, err := d.client.ImageList(testContext(t), client.ImageListOptions{All: true})
			require.NoError(t, err)
			assert.Empty(t, list.Items)
			breaking.Store(false)
			_, err = d.pull(ref, client.ImagePullOptions{})
			assert.NoError(t, err, "the next try works")
		})
	}
}

type zeroes struct{}

func (zeroes) Read(p []byte) (int, error) { clear(p); return len(p), nil }

func TestImagesInUseAreNotRemoved(t *testing.T) {
	onBoth(t, func(t *testing.T, d *daemon) {
		d.create(t, "true")
		inspected, err := d.client.ImageInspect(testContext(t), "box")
		require.NoError(t, err)
		_, err = d.client.ImageRemove(testContext(t), inspected.ID, client.ImageRemoveOptions{})
		assert.True(t, cerrdefs.IsConflict(err), "%v", err)
		list, err := d.client.ImageList(testContext(t), client.ImageListOptions{Filters: client.Filters{}.Add("reference", "box")})
		require.NoError(t, err)
		require.Len(t, list.Items, 1)
		assert.Equal(t, []string{"box:latest"}, list.Items[0].RepoTags)
	})
}

func TestLoadRefusesGarbage(t *testing.T) {
	onBoth(t, func(t *testing.T, d *daemon) {
		for _, garbage := range []string{"", "not a tar", strings.Repeat("\x00", 2048)} {
			res, err := d.client.ImageLoad(testContext(t), strings.NewReader(garbage))
			if err == nil {
				var m struct{ Error string }
				b, _ := io.ReadAll(res)
				res.Close()
				json.Unmarshal(b, &m)
				assert.NotEmpty(t, m.Error, "%q was loaded: %s", garbage, b)
			}
		}
	})
}
