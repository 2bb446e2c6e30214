package e2e

import (
	"archive/tar"
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	cerrdefs "github.com/containerd/errdefs"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/validate"
	"github.com/moby/moby/api/pkg/authconfig"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/events"
	apiregistry "github.com/moby/moby/api/types/registry"
	"github.com/moby/moby/client"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// pushed pushes and returns the stream as text.
func (d *daemon) pushed(ref, auth string) (string, error) {
	res, err := d.client.ImagePush(context.Background(), ref, client.ImagePushOptions{RegistryAuth: auth})
	if err != nil {
		return "", err
	}
	return progress(res)
}

// tagged gives the box image another name for the time of a test.
func (d *daemon) tagged(t *testing.T, ref string) {
	t.Helper()
	_, err := d.client.ImageTag(testContext(t), client.ImageTagOptions{Source: "box", Target: ref})
	require.NoError(t, err)
	t.Cleanup(func() { _, _ = d.client.ImageRemove(context.Background(), ref, client.ImageRemoveOptions{Force: true}) })
}

func TestWhatIsPushedCanBePulledByOthers(t *testing.T) {
	onBoth(t, func(t *testing.T, d *daemon) {
		host := loopbackRegistry(t)
		ref := host + "/pushed/box:" + string(d.kind())
		d.tagged(t, ref)
		text, err := d.pushed(ref, "e30=")
		require.NoError(t, err, text)
		assert.Contains(t, text, "The push refers to repository ["+host+"/pushed/box]")
		assert.Contains(t, text, " Pushed\n")
		assert.Regexp(t, string(d.kind())+`: digest: sha256:[0-9a-f]{64} size: \d+`, text)
		assert.Contains(t, text, `"Tag":"`+string(d.kind())+`","Digest":"sha256:`)
		text, err = d.pushed(ref, "e30=")
		require.NoError(t, err)
		assert.Contains(t, text, " Layer already exists\n")

		parsed, err := name.ParseReference(ref, name.Insecure)
		require.NoError(t, err)
		img, err := remote.Image(parsed)
		require.NoError(t, err)
		require.NoError(t, validate.Image(img))
		found, err := d.client.DistributionInspect(testContext(t), ref, client.DistributionInspectOptions{})
		require.NoError(t, err)
		digest, err := img.Digest()
		require.NoError(t, err)
		assert.Equal(t, digest.String(), found.Descriptor.Digest.String())

		_, err = d.pushed(host+"/pushed/box:nosuch", "e30=")
		assert.ErrorContains(t, err, "tag does not exist: "+host+"/pushed/box:nosuch")
		_, err = d.client.DistributionInspect(testContext(t), host+"/nosuch:1", client.DistributionInspectOptions{})
		assert.True(t, cerrdefs.IsNotFound(err), "%v", err)
		_, err = d.client.ImageSearch(testContext(t), host+"/box", client.ImageSearchOptions{})
		assert.ErrorContains(t, err, "registry "+host+" has no search")
	})
}

func TestPushAndLoginWithCredentials(t *testing.T) {
	inner := loopbackRegistry(t)
	target := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if user, password, _ := r.BasicAuth(); user != "u" || password != "p" {
			w.Header().Set("WWW-Authenticate", `Basic realm="test"`)
			http.Error(w, `{"errors":[{"code":"UNAUTHORIZED","message":"authentication required"}]}`, http.StatusUnauthorized)
			return
		}
		r.URL.Scheme, r.URL.Host, r.RequestURI = "http", inner, ""
		res, err := http.DefaultTransport.RoundTrip(r)
		if err != nil {
			panic(http.ErrAbortHandler)
		}
		defer res.Body.Close()
		for k, v := range res.Header {
			w.Header()[k] = v
		}
		w.WriteHeader(res.StatusCode)
		_, _ = io.Copy(w, res.Body)
	}))
	defer target.Close()
	host := strings.TrimPrefix(target.URL, "http://")
	d := sharedDaemon(t, embedded)
	ref := host + "/private/box:1"
	d.tagged(t, ref)
	_, err := d.pushed(ref, "e30=")
	assert.ErrorContains(t, err, "no basic auth credentials")
	auth, err := authconfig.Encode(apiregistry.AuthConfig{Username: "u", Password: "p", ServerAddress: host})
	require.NoError(t, err)
	_, err = d.pushed(ref, auth)
	require.NoError(t, err)
	answer, err := d.client.RegistryLogin(testContext(t), client.RegistryLoginOptions{Username: "u", Password: "p", ServerAddress: host})
	require.NoError(t, err)
	assert.Equal(t, "Login Succeeded", answer.Auth.Status)
	_, err = d.client.RegistryLogin(testContext(t), client.RegistryLoginOptions{Username: "u", Password: "x", ServerAddress: host})
	assert.True(t, cerrdefs.IsUnauthorized(err), "%v", err)
}

func TestWhatIsSavedCanBeLoaded(t *testing.T) {
	onOwn(t, func(t *testing.T, d *daemon) {
		d.load(t, "box:latest")
		d.tagged(t, "other/box:2")
		saved, err := d.client.ImageSave(testContext(t), []string{"box", "other/box:2"})
		require.NoError(t, err)
		archive, err := io.ReadAll(saved)
		require.NoError(t, err)
		require.NoError(t, saved.Close())
		path := filepath.Join(t.TempDir(), "box.tar")
		require.NoError(t, os.WriteFile(path, archive, 0o600))
		for _, ref := range []string{"box:latest", "other/box:2"} {
			tag, err := name.NewTag(ref)
			require.NoError(t, err)
			img, err := tarball.ImageFromPath(path, &tag)
			require.NoError(t, err)
			require.NoError(t, validate.Image(img))
			_, err = d.client.ImageRemove(testContext(t), ref, client.ImageRemoveOptions{})
			require.NoError(t, err)
		}
		loaded, err := d.client.ImageLoad(testContext(t), bytes.NewReader(archive), client.ImageLoadWithQuiet(true))
		require.NoError(t, err)
		text, err := io.ReadAll(loaded)
		require.NoError(t, err)
		require.NoError(t, loaded.Close())
		assert.Contains(t, string(text), `Loaded image: box:latest\n`)
		assert.Contains(t, string(text), `Loaded image: other/box:2\n`)
		assert.Equal(t, result{"ok\n", "", 0}, d.run(t, "echo ok"))
		_, err = d.client.ImageSave(testContext(t), []string{"box", "nosuch"})
		assert.True(t, cerrdefs.IsNotFound(err), "%v", err)
	})
}

func TestCommitAndImportMakeImages(t *testing.T) {
	onOwn(t, func(t *testing.T, d *daemon) {
		d.load(t, "box:latest")
		ctx := testContext(t)
		box, err := d.client.ImageInspect(ctx, "box")
		require.NoError(t, err)
		id := d.create(t, "echo kept > /tmp/kept; rm /vol/from-image")
		d.startContainer(t, id)
		require.Zero(t, d.wait(t, id))
		made, err := d.client.ContainerCommit(ctx, id, client.ContainerCommitOptions{
			Reference: "committed:1", Author: "me", Comment: "why", Changes: []string{"LABEL l=1", "ENV B=c"},
		})
		require.NoError(t, err)
		inspected, err := d.client.ImageInspect(ctx, "committed:1")
		require.NoError(t, err)
		assert.Equal(t, made.ID, inspected.ID)
		assert.Equal(t, "me", inspected.Author)
		assert.Equal(t, "1", inspected.Config.Labels["l"])
		history, err := d.client.ImageHistory(ctx, "committed:1")
		require.NoError(t, err)
		assert.Equal(t, "why", history.Items[0].Comment)
		assert.Equal(t, []string{"committed:1"}, history.Items[0].Tags)
		assert.Equal(t, result{"kept\nc\n", "", 0}, d.run(t, "cat /tmp/kept; echo $B; ls /vol", of("committed:1")))

		exported, err := d.client.ContainerExport(ctx, id, client.ContainerExportOptions{})
		require.NoError(t, err)
		imported, err := d.client.ImageImport(ctx, client.ImageImportSource{Source: exported, SourceName: "-"}, "imported:1",
			client.ImageImportOptions{Message: "from a container", Changes: []string{"ENV PATH=/bin"}})
		require.NoError(t, err)
		var answer struct{ Status string }
		require.NoError(t, json.NewDecoder(imported).Decode(&answer))
		require.NoError(t, imported.Close())
		require.NoError(t, exported.Close())
		assert.Regexp(t, "^sha256:[0-9a-f]{64}$", answer.Status)
		assert.Equal(t, result{"kept\n", "", 0}, d.run(t, "cat /tmp/kept", of("imported:1")))
		_, err = d.client.ImageImport(ctx, client.ImageImportSource{SourceName: "http://127.0.0.1:1/x.tar"}, "imported:2", client.ImageImportOptions{})
		assert.ErrorContains(t, err, "importing from a URL is not supported")

		_, err = d.client.ContainerPrune(ctx, client.ContainerPruneOptions{})
		require.NoError(t, err)
		_, err = d.client.ImageRemove(ctx, "imported:1", client.ImageRemoveOptions{})
		require.NoError(t, err)
		var told []string
		past := d.client.Events(ctx, client.EventsListOptions{
			Since: "1h", Until: time.Now().Format(time.RFC3339Nano),
			Filters: client.Filters{}.Add("type", "image"),
		})
		for m := range past.Messages {
			told = append(told, string(m.Action)+" "+m.Actor.Attributes["name"])
			if m.Action == events.ActionTag && m.Actor.Attributes["name"] == "committed:1" {
				assert.Equal(t, "1", m.Actor.Attributes["l"], "the image's labels")
			}
			if m.Action == events.ActionDelete {
				break
			}
		}
		assert.Equal(t, []string{
			"load " + box.ID, "tag committed:1", "tag imported:1", "import " + answer.Status, "untag " + answer.Status, "delete " + answer.Status,
		}, told)
	})
}

// of chooses the image of a container.
func of(image string) spec { return config(func(c *container.Config) { c.Image = image }) }

// blobs counts what the content store of a daemon has, whole and unfinished.
func (d *daemon) blobs(t testing.TB) (whole, unfinished int) {
	t.Helper()
	const store = "d/containerd/io.containerd.content.v1.content/"
	return d.entries(t, store+"blobs/sha256/*"), d.entries(t, store+"ingest/*")
}

// A client that goes away in the middle, in whatever direction, leaves no
// lease and no content.
func TestClientsThatGoInTheMiddleOfATransferLeaveNothing(t *testing.T) {
	d := ownDaemon(t, built.daemon, embedded)
	d.load(t, "box:latest")
	taken := make(chan struct{}, 16)
	silent := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.Method {
		case http.MethodHead:
			w.WriteHeader(http.StatusNotFound)
		case http.MethodPost:
			w.Header().Set("Location", r.URL.Path+"x")
			w.WriteHeader(http.StatusAccepted)
		default:
			_, _ = io.CopyN(io.Discard, r.Body, 1)
			taken <- struct{}{}
			_, _ = io.Copy(io.Discard, r.Body)
			<-r.Context().Done()
		}
	}))
	defer silent.Close()
	ref := strings.TrimPrefix(silent.URL, "http://") + "/silent:1"
	d.tagged(t, ref)
	before, _ := d.blobs(t)
	for range 4 {
		ctx, cancel := context.WithCancel(context.Background())
		pushing, err := d.client.ImagePush(ctx, ref, client.ImagePushOptions{RegistryAuth: "e30="})
		require.NoError(t, err)
		<-taken
		cancel()
		pushing.Close()

		ctx, cancel = context.WithCancel(context.Background())
		saving, err := d.client.ImageSave(ctx, []string{"box"})
		require.NoError(t, err)
		_, err = io.CopyN(io.Discard, saving, 10_000)
		require.NoError(t, err)
		cancel()
		saving.Close()

		r, w := io.Pipe()
		ctx, cancel = context.WithCancel(context.Background())
		ended := make(chan error)
		go func() {
			_, err := d.client.ImageImport(ctx, client.ImageImportSource{Source: r, SourceName: "-"}, "half:1", client.ImageImportOptions{})
			ended <- err
		}()
		out := tar.NewWriter(w)
		require.NoError(t, out.WriteHeader(&tar.Header{Name: "half", Typeflag: tar.TypeReg, Size: 1 << 20}))
		_, err = out.Write(make([]byte, 1<<19))
		require.NoError(t, err)
		cancel()
		w.Close()
		assert.Error(t, <-ended)
	}
	require.NoError(t, waitFor(time.Minute, func() bool {
		whole, unfinished := d.blobs(t)
		return whole <= before && unfinished == 0 // the index of the load is no longer needed
	}))
	d.signal(syscall.SIGTERM)
	assert.Zero(t, d.containerdLeases(t))
}
