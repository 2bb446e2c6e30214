package plugintest

import (
	"archive/tar"
	"context"
	"fmt"
	"path/filepath"
	"runtime"
	"testing"

	containerd "github.com/containerd/containerd/v2/client"
	"github.com/containerd/containerd/v2/core/metadata"
	"github.com/containerd/containerd/v2/core/snapshots"
	"github.com/containerd/containerd/v2/pkg/archive"
	"github.com/containerd/containerd/v2/plugins/content/local"
	"github.com/containerd/containerd/v2/plugins/snapshots/native"
	"github.com/containerd/errdefs"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/opencontainers/image-spec/identity"
	"github.com/stretchr/testify/require"
	bolt "go.etcd.io/bbolt"

	engine "github.com/pouchfx/pouchfx/modules/containerd"
	"github.com/pouchfx/pouchfx/modules/containerd/containerdtest"
)

// Snapshotter is the one into which Image is unpacked.
const Snapshotter = "native"

// Image is a small image as PostPull gets one: docker.io/library/box:latest,
// in a content store of its own, unpacked, of a client whose default namespace
// holds it. Its one layer has /etc/passwd. What it cannot be asked for is what
// takes a daemon: containers. It needs no root.
func Image(t testing.TB) containerd.Image {
	t.Helper()
	return ImageOf(t, "docker.io/library/box:latest", box(t))
}

// ImageOf is like Image, with an image of one's own.
func ImageOf(t testing.TB, reference string, img v1.Image) containerd.Image {
	t.Helper()
	client := localStore(t)
	ctx := context.Background()
	imported, err := client.Import(ctx, containerdtest.Archive(t, reference, img))
	require.NoError(t, err)
	require.Len(t, imported, 1)
	image := containerd.NewImage(client, imported[0])
	require.NoError(t, unpack(ctx, client, image, img))
	return image
}

func box(t testing.TB) v1.Image {
	img := containerdtest.Image(t, containerdtest.Layer(t,
		[]tar.Header{{Name: "etc/", Typeflag: tar.TypeDir, Mode: 0o755}, {Name: "etc/passwd", Typeflag: tar.TypeReg, Mode: 0o644}},
		map[string]string{"etc/passwd": "root:x:0:0:root:/root:/bin/sh\n"}))
	img, err := mutate.ConfigFile(img, &v1.ConfigFile{
		OS: "linux", Architecture: runtime.GOARCH, RootFS: must(img.ConfigFile()).RootFS,
		Config: v1.Config{Cmd: []string{"sh"}, Env: []string{"PATH=/bin"}, Labels: map[string]string{"org.example.box": "1"}},
	})
	require.NoError(t, err)
	return img
}

// localStore is containerd's client over stores of a test.
func localStore(t testing.TB) *containerd.Client {
	t.Helper()
	dir := t.TempDir()
	blobs, err := local.NewStore(filepath.Join(dir, "content"))
	require.NoError(t, err)
	snapshotter, err := native.NewSnapshotter(filepath.Join(dir, "snapshots"))
	require.NoError(t, err)
	t.Cleanup(func() { _ = snapshotter.Close() })
	file, err := bolt.Open(filepath.Join(dir, "meta.db"), 0o600, nil)
	require.NoError(t, err)
	t.Cleanup(func() { _ = file.Close() })
	db := metadata.NewDB(file, blobs, map[string]snapshots.Snapshotter{Snapshotter: snapshotter})
	require.NoError(t, db.Init(context.Background()))
	direct, err := containerd.New("", containerd.WithServices(
		containerd.WithContentStore(db.ContentStore()),
		containerd.WithImageStore(metadata.NewImageStore(db)),
		containerd.WithLeasesService(metadata.NewLeaseManager(db)),
		containerd.WithSnapshotters(map[string]snapshots.Snapshotter{Snapshotter: db.Snapshotter(Snapshotter)}),
	))
	require.NoError(t, err)
	client, err := engine.InNamespace(engine.Namespace, direct, Snapshotter)
	require.NoError(t, err)
	return client
}

// unpack puts the image's layers into the snapshotter, as files of whoever
// runs the test.
func unpack(ctx context.Context, client *containerd.Client, image containerd.Image, img v1.Image) error {
	ctx, done, err := client.WithLease(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = done(ctx) }()
	layers, err := img.Layers()
	if err != nil {
		return err
	}
	ids, err := image.RootFS(ctx)
	if err != nil {
		return err
	}
	snapshotter, parent := client.SnapshotService(Snapshotter), ""
	for i, l := range layers {
		name := identity.ChainID(ids[:i+1]).String()
		mounts, err := snapshotter.Prepare(ctx, "unpack", parent)
		if err != nil {
			return err
		}
		tarball, err := l.Uncompressed()
		if err != nil {
			return err
		}
		_, err = archive.Apply(ctx, mounts[0].Source, tarball, archive.WithNoSameOwner())
		if err == nil {
			err = tarball.Close()
		}
		if err == nil {
			err = snapshotter.Commit(ctx, name, "unpack")
		}
		if err != nil && !errdefs.IsAlreadyExists(err) {
			return fmt.Errorf("unpack layer %d: %w", i, err)
		}
		parent = name
	}
	return nil
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}
