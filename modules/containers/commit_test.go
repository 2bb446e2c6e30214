package containers

import (
	"archive/tar"
	"context"
	"io"
	"strings"
	"testing"
	"time"

	corecontent "github.com/containerd/containerd/v2/core/content"
	"github.com/containerd/errdefs"
	"github.com/distribution/reference"
	"github.com/moby/moby/api/types/container"
	eventtypes "github.com/moby/moby/api/types/events"
	imagespec "github.com/opencontainers/image-spec/specs-go/v1"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pouchfx/pouchfx/types"
)

func newName(t *testing.T, name string) reference.NamedTagged {
	t.Helper()
	named, err := reference.ParseNormalizedNamed(name)
	require.NoError(t, err)
	return reference.TagNameOnly(named).(reference.NamedTagged)
}

func TestCommitKeepsWhatAContainerChanged(t *testing.T) {
	f := newFixture(t, nil)
	id := f.create(t, "changed", func(c *types.ContainerCreateConfig) {
		c.Env = []string{"A=b"}
		c.Labels = map[string]string{"l": "1"}
	}, "sh", "-c", "echo new > /tmp/new; echo more >> /etc/passwd; rm /vol/from-image")
	require.Zero(t, f.startAndWait(t, id))
	ctx := t.Context()
	made, err := f.Commit(ctx, "changed", CommitOptions{
		Target: newName(t, "committed:1"), Pause: true, Author: "me", Comment: "why", Changes: []string{`CMD ["cat", "/tmp/new"]`, "EXPOSE 80"},
	})
	require.NoError(t, err)
	img, err := f.Images.Resolve(ctx, "committed:1")
	require.NoError(t, err)
	assert.Equal(t, made, img.ID.String())
	assert.Equal(t, []string{"cat", "/tmp/new"}, img.Config.Cmd)
	assert.Contains(t, img.Config.Env, "A=b")
	assert.Contains(t, img.Config.Env, "FROM_IMAGE=yes")
	assert.Equal(t, "1", img.Config.Labels["l"])
	assert.Contains(t, img.Config.ExposedPorts, "80/tcp")
	assert.Equal(t, "me", img.Spec.Author)
	last := img.Spec.History[len(img.Spec.History)-1]
	assert.Equal(t, "why", last.Comment)
	assert.True(t, strings.HasPrefix(last.CreatedBy, "sh -c echo new"), last.CreatedBy)
	assert.False(t, last.EmptyLayer)

	assert.Equal(t, []string{"etc/", "etc/passwd", "tmp/", "tmp/new", "vol/", "vol/.wh.from-image"}, f.entries(t, img.Layers[len(img.Layers)-1]),
		"what is mounted in every container is no part of it")

	stdout, _, code := f.run(t, func(c *types.ContainerCreateConfig) { c.Image, c.Cmd = "committed:1", nil })
	assert.Equal(t, "new\n", stdout)
	assert.Zero(t, code)
	stdout, _, _ = f.run(t, func(c *types.ContainerCreateConfig) { c.Image = "committed:1" }, "sh", "-c", "cat /etc/passwd; ls /vol")
	assert.Contains(t, stdout, "more\n")
	assert.NotContains(t, stdout, "from-image")

	again, err := f.Commit(ctx, "changed", CommitOptions{})
	require.NoError(t, err)
	second, err := f.Images.Resolve(ctx, again)
	require.NoError(t, err)
	assert.Equal(t, img.Layers, second.Layers, "the same changes make the same layer")
	assert.Empty(t, second.Reference)
	leases, err := f.engine.Client().LeasesService().List(ctx)
	require.NoError(t, err)
	assert.Empty(t, leases)
}

// entries lists what is in a layer.
func (f *fixture) entries(t *testing.T, layer imagespec.Descriptor) (names []string) {
	t.Helper()
	blob, err := f.engine.Client().ContentStore().ReaderAt(t.Context(), layer)
	require.NoError(t, err)
	defer blob.Close()
	for r := tar.NewReader(corecontent.NewReader(blob)); ; {
		h, err := r.Next()
		if err == io.EOF {
			return names
		}
		require.NoError(t, err)
		names = append(names, h.Name)
	}
}

func TestCommitOfARunningContainerPausesIt(t *testing.T) {
	f := newFixture(t, nil)
	id := f.create(t, "running", nil, "sleep", "100")
	require.NoError(t, f.Service.Start(t.Context(), id))
	made, err := f.Commit(t.Context(), id, CommitOptions{Pause: true, Config: &container.Config{Env: []string{"GIVEN=1"}}})
	require.NoError(t, err)
	assert.True(t, f.inspect(t, id).State.Running)
	assert.False(t, f.inspect(t, id).State.Paused)
	img, err := f.Images.Resolve(t.Context(), made)
	require.NoError(t, err)
	assert.Contains(t, img.Config.Env, "GIVEN=1")
	assert.Contains(t, img.Config.Env, "PATH=/bin", "what is not given is the container's")
	assert.Equal(t, []string{"sleep", "100"}, img.Config.Cmd)

	past, _, cancel := f.bus.Subscribe(time.Now().Add(-time.Hour), time.Now())
	cancel()
	var actions []eventtypes.Action
	for _, m := range past {
		if m.Type == eventtypes.ContainerEventType {
			actions = append(actions, m.Action)
		}
	}
	assert.Equal(t, []eventtypes.Action{"create", "start", "pause", "unpause", "commit"}, actions)

	require.NoError(t, f.Pause(t.Context(), id))
	_, err = f.Commit(t.Context(), id, CommitOptions{Pause: true})
	require.NoError(t, err)
	assert.True(t, f.inspect(t, id).State.Paused, "who paused it resumes it")
	require.NoError(t, f.Unpause(t.Context(), id))
	_, err = f.Commit(t.Context(), id, CommitOptions{})
	require.NoError(t, err)
	require.NoError(t, f.Remove(context.Background(), id, RemoveOptions{Force: true}))
}

func TestCommitOfWhatNeverRanAddsNoLayer(t *testing.T) {
	f := newFixture(t, nil)
	id := f.create(t, "", nil, "true")
	before, err := f.Images.Resolve(t.Context(), "box")
	require.NoError(t, err)
	made, err := f.Commit(t.Context(), id, CommitOptions{Pause: true})
	require.NoError(t, err)
	img, err := f.Images.Resolve(t.Context(), made)
	require.NoError(t, err)
	assert.Equal(t, before.Spec.RootFS, img.Spec.RootFS)
	assert.True(t, img.Spec.History[len(img.Spec.History)-1].EmptyLayer)
	assert.NotEqual(t, before.ID, img.ID)
}

func TestCommitThatFailsResumesTheContainer(t *testing.T) {
	f := newFixture(t, nil)
	id := f.create(t, "running", nil, "sleep", "100")
	require.NoError(t, f.Service.Start(t.Context(), id))
	_, err := f.Commit(t.Context(), id, CommitOptions{Pause: true, Changes: []string{"RUN x"}})
	assert.ErrorIs(t, err, errdefs.ErrInvalidArgument)
	assert.ErrorContains(t, err, "run is not a valid change command")
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = f.Commit(gone, id, CommitOptions{Pause: true})
	assert.Error(t, err)
	assert.False(t, f.inspect(t, id).State.Paused)
	_, err = f.Commit(t.Context(), "nosuch", CommitOptions{})
	assert.ErrorIs(t, err, errdefs.ErrNotFound)
	leases, err := f.engine.Client().LeasesService().List(t.Context())
	require.NoError(t, err)
	assert.Empty(t, leases)
	require.NoError(t, f.Remove(context.Background(), id, RemoveOptions{Force: true}))
}
