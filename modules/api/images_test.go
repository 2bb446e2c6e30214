package api

import (
	"encoding/json"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/containerd/errdefs"
	"github.com/distribution/reference"
	"github.com/moby/moby/api/pkg/authconfig"
	"github.com/moby/moby/api/types/image"
	"github.com/moby/moby/api/types/jsonstream"
	"github.com/moby/moby/api/types/registry"
	"github.com/moby/moby/client"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestPullStreamsItsProgress(t *testing.T) {
	d := startDaemon(t)
	step := make(chan struct{})
	d.images.pull = func(ref reference.Named, progress func(jsonstream.Message)) error {
		progress(jsonstream.Message{Status: "Pulling from library/alpine", ID: "latest"})
		<-step
		progress(jsonstream.Message{Status: "Downloading", ID: "0123456789ab", Progress: &jsonstream.Progress{Current: 1, Total: 2}})
		progress(jsonstream.Message{Status: "Status: Downloaded newer image for " + reference.FamiliarString(ref)})
		return nil
	}
	conn := d.dial()
	conn.request("POST", "/v1.44/images/create?fromImage=docker.io%2Flibrary%2Falpine&tag=latest&platform=linux/amd64", "", "X-Registry-Auth: e30=", "Connection: close")
	assert.Contains(t, conn.head(), "Content-Type: application/json")
	size, err := conn.in.ReadString('\n') // of the first chunk, which comes before the next step
	require.NoError(t, err)
	require.NotEmpty(t, size)
	line, err := conn.in.ReadString('\n')
	require.NoError(t, err)
	assert.Equal(t, `{"status":"Pulling from library/alpine","id":"latest"}`+"\r\n", line)
	close(step)
	line, err = conn.in.ReadString('!')
	assert.ErrorIs(t, err, io.EOF)
	assert.Contains(t, line, `"progressDetail":{"current":1,"total":2},"id":"0123456789ab"}`+"\r\n")
	assert.Contains(t, line, "newer image for alpine:latest")
	assert.Equal(t, "amd64", d.images.pulled.Platform.Architecture)
}

func TestPullErrors(t *testing.T) {
	d := startDaemon(t)
	d.images.pull = func(reference.Named, func(jsonstream.Message)) error {
		return errdefs.ErrNotFound.WithMessage("manifest for nosuch:latest not found")
	}
	conn := d.dial()
	res, body := conn.do("POST", "/v1.44/images/create?fromImage=nosuch", "")
	assert.Equal(t, 404, res.StatusCode)
	assert.Equal(t, `{"message":"manifest for nosuch:latest not found"}`+"\n", body)

	d.images.pull = func(_ reference.Named, progress func(jsonstream.Message)) error {
		progress(jsonstream.Message{Status: "Pulling"})
		return errors.New(`plugin "scan": PostPull: malware`)
	}
	res, body = conn.do("POST", "/v1.44/images/create?fromImage=bad", "")
	assert.Equal(t, 200, res.StatusCode)
	lines := strings.Split(strings.TrimSpace(body), "\r\n")
	var last map[string]any
	require.NoError(t, json.Unmarshal([]byte(lines[len(lines)-1]), &last))
	assert.Equal(t, `plugin "scan": PostPull: malware`, last["error"])
	assert.Equal(t, `plugin "scan": PostPull: malware`, last["errorDetail"].(map[string]any)["message"])

	pull, err := d.client().ImagePull(t.Context(), "bad", client.ImagePullOptions{})
	require.NoError(t, err)
	assert.ErrorContains(t, pull.Wait(t.Context()), "malware")
	_, err = d.client().ImagePull(t.Context(), "every", client.ImagePullOptions{All: true})
	require.NoError(t, err)
	assert.Equal(t, "docker.io/library/every", d.images.pulledAll)
	for path, status := range map[string]int{"fromImage=UPPER": 400, "fromImage=": 400, "fromImage=a&tag=:": 400, "fromImage=a&tag=sha256:0": 400, "fromImage=a&tag=b/c": 400, "fromSrc=http://a/b&repo=x": 501, "fromSrc=-&repo=X": 400, "fromImage=a&platform=////": 400} {
		res, _ := conn.do("POST", "/images/create?"+path, "")
		assert.Equal(t, status, res.StatusCode, path)
	}
}

func TestPullReferences(t *testing.T) {
	const sum = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
	for _, tc := range []struct{ image, tag, want string }{
		{"docker.io/library/alpine", "latest", "docker.io/library/alpine:latest"},
		{"ubuntu:22.04", "", "docker.io/library/ubuntu:22.04"},
		{"ubuntu", "", "docker.io/library/ubuntu"},
		{"ubuntu:", "", "docker.io/library/ubuntu"},
		{"ubuntu:22.04", "24.04", "docker.io/library/ubuntu:24.04"},
		{"127.0.0.1:5000/a/b", "v1", "127.0.0.1:5000/a/b:v1"},
		{"alpine", sum, "docker.io/library/alpine@" + sum},
		{"alpine@" + sum, "", "docker.io/library/alpine@" + sum},
	} {
		ref, err := pullReference(tc.image, tc.tag)
		require.NoError(t, err)
		assert.Equal(t, tc.want, ref.String())
	}
	for image, want := range map[string]string{
		"":   "invalid reference format: the name of the image is missing",
		"UP": `invalid reference format: repository name (library/UP) must be lowercase: "UP"`,
	} {
		_, err := pullReference(image, "")
		assert.EqualError(t, err, want)
	}
}

func TestPullPassesTheCredentialsOn(t *testing.T) {
	d := startDaemon(t)
	d.images.pull = func(reference.Named, func(jsonstream.Message)) error { return nil }
	auth, err := authconfig.Encode(registry.AuthConfig{Username: "u", Password: "p"})
	require.NoError(t, err)
	d.dial().do("POST", "/images/create?fromImage=a", "", "X-Registry-Auth: "+auth)
	assert.Equal(t, &registry.AuthConfig{Username: "u", Password: "p"}, d.images.pulled.Auth)
	res, _ := d.dial().do("POST", "/images/create?fromImage=a", "", "X-Registry-Auth: ???")
	assert.Equal(t, 200, res.StatusCode)
	assert.Equal(t, &registry.AuthConfig{}, d.images.pulled.Auth)

	res, body := d.dial().do("POST", "/auth", `{"username":"u","password":"wrong"}`)
	assert.Equal(t, 401, res.StatusCode, body)
	res, body = d.dial().do("POST", "/auth", `{"username":"u","password":"right"}`)
	assert.Equal(t, 200, res.StatusCode)
	assert.Equal(t, `{"Status":"Login Succeeded"}`+"\n", body)
}

func TestImagesWithDockersClient(t *testing.T) {
	d := startDaemon(t)
	c, ctx := d.client(), t.Context()
	loaded, err := c.ImageLoad(ctx, strings.NewReader("a tar"))
	require.NoError(t, err)
	text, err := io.ReadAll(loaded)
	require.NoError(t, err)
	require.NoError(t, loaded.Close())
	assert.Equal(t, "a tar", string(d.images.loaded))
	assert.Contains(t, string(text), `{"stream":"Loaded image: busybox:latest\n"}`+"\r\n")

	_, err = c.ImageInspect(ctx, "127.0.0.1:5000/a/b:v1")
	require.NoError(t, err)
	assert.Equal(t, "127.0.0.1:5000/a/b:v1", d.images.name)
	layers, err := c.ImageHistory(ctx, "127.0.0.1:5000/a/b:v1")
	require.NoError(t, err)
	assert.Len(t, layers.Items, 1)
	_, err = c.ImageTag(ctx, client.ImageTagOptions{Source: "busybox", Target: "foo/bar:v1"})
	require.NoError(t, err)
	assert.Equal(t, "docker.io/foo/bar:v1", d.images.tagged.String())
	d.images.list = []image.Summary{{ID: "sha256:1", Size: 9}}
	all, err := c.ImageList(ctx, client.ImageListOptions{})
	require.NoError(t, err)
	assert.Len(t, all.Items, 1)
	removed, err := c.ImageRemove(ctx, "foo/bar:v1", client.ImageRemoveOptions{})
	require.NoError(t, err)
	assert.Equal(t, "foo/bar:v1", removed.Items[0].Untagged)
	_, err = c.ImagePrune(ctx, client.ImagePruneOptions{})
	require.NoError(t, err)
	for path, status := range map[string]int{"/images/a/tag?repo=b@sha256:" + strings.Repeat("0", 64): 400, "/images/a/tag?repo=": 400, "/images/a/tag?repo=b&tag=/": 400} {
		res, _ := d.dial().do("POST", path, "")
		assert.Equal(t, status, res.StatusCode, path)
	}
}
