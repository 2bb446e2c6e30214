package e2e

import (
	"testing"

	cerrdefs "github.com/containerd/errdefs"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestVolumesKeepData(t *testing.T) {
	onBoth(t, func(t *testing.T, d *daemon) {
		ctx := testContext(t)
		name := "vol-" + string(d.kind())
		created, err := d.client.VolumeCreate(ctx, client.VolumeCreateOptions{Name: name, Labels: map[string]string{"a": "b"}})
		require.NoError(t, err)
		assert.Equal(t, "local", created.Volume.Driver)
		t.Cleanup(func() { d.client.VolumeRemove(testContext(t), name, client.VolumeRemoveOptions{Force: true}) })
		bind := host(func(h *container.HostConfig) { h.Binds = []string{name + ":/data"} })
		d.run(t, "echo kept > /data/f", bind)
		r := d.run(t, "cat /data/f", bind)
		assert.Equal(t, "kept\n", r.stdout)

		user := d.create(t, "sleep 1000", bind)
		_, err = d.client.VolumeRemove(ctx, name, client.VolumeRemoveOptions{})
		assert.True(t, cerrdefs.IsConflict(err), "%v", err)
		assert.ErrorContains(t, err, user)
		for _, m := range d.inspect(t, user).Mounts {
			assert.Equal(t, name, m.Name)
			assert.Equal(t, "/data", m.Destination)
		}
	})
}

func TestVolumesAreFilledFromTheImage(t *testing.T) {
	onBoth(t, func(t *testing.T, d *daemon) {
		r := d.run(t, "cat /vol/from-image", config(func(c *container.Config) { c.Volumes = map[string]struct{}{"/vol": {}} }))
		assert.Equal(t, "from the image\n", r.stdout, r.stderr)
	})
}

func TestAnonymousVolumesGoWithTheirContainer(t *testing.T) {
	onBoth(t, func(t *testing.T, d *daemon) {
		ctx := testContext(t)
		id := d.create(t, "true", config(func(c *container.Config) { c.Volumes = map[string]struct{}{"/anon": {}} }))
		mounts := d.inspect(t, id).Mounts
		require.Len(t, mounts, 1)
		_, err := d.client.ContainerRemove(ctx, id, client.ContainerRemoveOptions{RemoveVolumes: true})
		require.NoError(t, err)
		_, err = d.client.VolumeInspect(ctx, mounts[0].Name, client.VolumeInspectOptions{})
		assert.True(t, cerrdefs.IsNotFound(err), "%v", err)
	})
}

func TestVolumeNamesCannotEscape(t *testing.T) {
	onBoth(t, func(t *testing.T, d *daemon) {
		for _, bad := range []string{"../x", "a/b", "-x"} {
			_, err := d.client.VolumeCreate(testContext(t), client.VolumeCreateOptions{Name: bad})
			assert.True(t, cerrdefs.IsInvalidArgument(err), "%q: %v", bad, err)
		}
		_, err := d.client.VolumeCreate(testContext(t), client.VolumeCreateOptions{Name: "v", Driver: "nosuch"})
		require.Error(t, err)
		assert.ErrorContains(t, err, "nosuch")
	})
}
