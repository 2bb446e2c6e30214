package images_test

import (
	"archive/tar"
	"context"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/containerd/containerd/v2/client"
	"github.com/containerd/containerd/v2/core/content"
	"github.com/containerd/containerd/v2/core/snapshots"
	"github.com/distribution/reference"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/pouchfx/pouchfx/modules/containerd"
	"github.com/pouchfx/pouchfx/modules/containerd/containerdtest"
	"github.com/pouchfx/pouchfx/modules/events"
	"github.com/pouchfx/pouchfx/modules/images"
)

func TestMain(m *testing.M) { containerdtest.Main(m) }

// hook is a PostPull.
type hook func(ctx context.Context, snapshotter string, i client.Image) error

func (h hook) PostPull(ctx context.Context, snapshotter string, i client.Image) error {
	return h(ctx, snapshotter, i)
}

func noHook(context.Context, string, client.Image) error { return nil }

func newService(t *testing.T, e *containerd.Engine, h hook) *images.Service {
	t.Helper()
	s := images.New(e, h, events.New(), containerdtest.Log(t), images.Config{StallTimeout: 2 * time.Second})
	require.NoError(t, s.Start(t.Context()))
	return s
}

func named(t *testing.T, name string) reference.Named {
	t.Helper()
	n, err := reference.ParseNormalizedNamed(name)
	require.NoError(t, err)
	return n
}

// small is an image of two layers, quick to make.
func small(t *testing.T) v1.Image {
	t.Helper()
	return containerdtest.Image(t,
		containerdtest.Layer(t, []tar.Header{{Name: "a", Typeflag: tar.TypeReg, Mode: 0o644}}, map[string]string{"a": "first"}),
		containerdtest.Layer(t, []tar.Header{{Name: "b", Typeflag: tar.TypeReg, Mode: 0o644}}, map[string]string{"b": strings.Repeat("second", 1000)}))
}

// smallDisk is the configuration of an engine with 16 MiB for its data.
func smallDisk(t *testing.T) containerd.Config {
	t.Helper()
	c := containerdtest.Config(t)
	require.NoError(t, os.MkdirAll(c.Root, 0o755))
	require.NoError(t, unix.Mount("tmpfs", c.Root, "tmpfs", 0, "size=16m"))
	t.Cleanup(func() {
		// containerd's look for fs-verity leaves a file open until that is collected.
		require.Eventually(t, func() bool { runtime.GC(); return unix.Unmount(c.Root, 0) == nil }, time.Minute, 10*time.Millisecond)
	})
	return c
}

// requireNothing checks that an engine holds no image nor part of one.
func requireNothing(t *testing.T, e *containerd.Engine) {
	t.Helper()
	ctx, c := t.Context(), e.Client()
	records, err := c.ListImages(ctx)
	require.NoError(t, err)
	assert.Empty(t, records, "records")
	require.NoError(t, c.ContentStore().Walk(ctx, func(i content.Info) error {
		t.Errorf("left behind: blob %s", i.Digest)
		return nil
	}))
	unfinished, err := c.ContentStore().ListStatuses(ctx)
	require.NoError(t, err)
	assert.Empty(t, unfinished, "unfinished blobs")
	require.NoError(t, c.SnapshotService(e.Snapshotter()).Walk(ctx, func(_ context.Context, i snapshots.Info) error {
		t.Errorf("left behind: snapshot %s", i.Name)
		return nil
	}))
	leases, err := c.LeasesService().List(ctx)
	require.NoError(t, err)
	assert.Empty(t, leases, "leases")
}
