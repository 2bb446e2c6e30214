package e2e

import (
	"context"
	"encoding/json"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/moby/moby/client"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// unpackedNatively counts the snapshots of the embedded native snapshotter.
func (d *daemon) unpackedNatively() int {
	found, _ := filepath.Glob(filepath.Join(d.root, "d", "containerd", "io.containerd.snapshotter.v1.native", "snapshots", "[0-9]*"))
	return len(found)
}

// createOn makes a container on a snapshotter, which Docker's clients cannot
// ask for.
func (d *daemon) createOn(t *testing.T, snapshotter, image string) (id string) {
	t.Helper()
	c := &http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", d.socket)
	}}}
	res, err := c.Post("http://daemon/containers/create", "application/json",
		strings.NewReader(`{"Image": "`+image+`", "Cmd": ["sleep", "1000"], "Snapshotter": "`+snapshotter+`", "HostConfig": {"NetworkMode": "none"}}`))
	require.NoError(t, err)
	defer res.Body.Close()
	var created struct{ ID, Message string }
	require.NoError(t, json.NewDecoder(res.Body).Decode(&created))
	require.Equal(t, http.StatusCreated, res.StatusCode, created.Message)
	return created.ID
}

func TestImagesAreUnpackedIntoFurtherSnapshotters(t *testing.T) {
	for about, rule := range map[string]string{"before the pull is done": "{into: [native]}", "after it": "{into: [native], background: true}"} {
		t.Run(about, func(t *testing.T) {
			d := configured(t, embedded, "plugins: {snapshotters: {rules: ["+rule+"]}}\n")
			require.NoError(t, d.start())
			img, err := boxImage()
			require.NoError(t, err)
			layers, err := img.Layers()
			require.NoError(t, err)
			ref := push(t, loopbackRegistry(t), "box:1", img)
			_, err = d.pull(ref, client.ImagePullOptions{})
			require.NoError(t, err)
			if strings.Contains(rule, "background") {
				require.NoError(t, waitFor(20*time.Second, func() bool { return strings.Contains(d.log.String(), "the image is in a further snapshotter") }))
			}
			assert.Equal(t, len(layers), d.unpackedNatively())

			d.signal(syscall.SIGKILL) // it stays, and is of use
			require.NoError(t, d.start())
			assert.Equal(t, len(layers), d.unpackedNatively())
			id := d.createOn(t, "native", ref)
			assert.Equal(t, len(layers)+1, d.unpackedNatively(), "the container's, and no layer again")
			_, err = d.client.ContainerRemove(testContext(t), id, client.ContainerRemoveOptions{Force: true})
			require.NoError(t, err)
			_, err = d.client.ImageRemove(testContext(t), ref, client.ImageRemoveOptions{Force: true})
			require.NoError(t, err)
			require.NoError(t, waitFor(20*time.Second, func() bool { return d.unpackedNatively() == 0 }), "it goes with the image")
		})
	}
}

func TestASnapshotterThatIsMissing(t *testing.T) {
	onEngines(t, func(t *testing.T, e engine) {
		img, err := boxImage()
		require.NoError(t, err)
		ref := push(t, loopbackRegistry(t), "box:1", img)
		strict := configured(t, e, "plugins: {snapshotters: {rules: [{into: [nosuch]}]}}\n")
		require.NoError(t, strict.start())
		_, err = strict.pull(ref, client.ImagePullOptions{})
		assert.ErrorContains(t, err, `plugin "snapshotters": PostPull: image `+ref+`: containerd has no snapshotter "nosuch" that works here`)
		_, err = strict.client.ImageInspect(testContext(t), ref)
		assert.Error(t, err, "the name does not stay")

		lenient := configured(t, e, "plugins: {snapshotters: {rules: [{into: [nosuch], onError: ignore}]}}\n")
		require.NoError(t, lenient.start())
		_, err = lenient.pull(ref, client.ImagePullOptions{})
		require.NoError(t, err)
		assert.Contains(t, lenient.log.String(), "the image is not in a further snapshotter")
		assert.Contains(t, lenient.log.String(), "nosuch")
	})
}

// The engine ends before the plugin hears of it: whatever was under way in the
// background must neither fail the stop nor leave anything half done.
func TestADaemonStopsWhileItUnpacks(t *testing.T) {
	d := configured(t, embedded, "plugins: {snapshotters: {rules: [{into: [native], background: true}]}}\n")
	require.NoError(t, d.start())
	img, err := boxImage()
	require.NoError(t, err)
	for range 5 {
		ref := push(t, loopbackRegistry(t), "box:1", img)
		_, err = d.pull(ref, client.ImagePullOptions{})
		require.NoError(t, err)
		require.Zero(t, d.signal(syscall.SIGTERM).ExitCode(), "%s", d.log)
		require.NotContains(t, d.log.String(), "panic")
		require.NoError(t, d.start())
		d.createOn(t, "native", ref)
	}
}
