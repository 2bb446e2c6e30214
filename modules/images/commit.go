package images

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/containerd/containerd/v2/core/images"
	"github.com/containerd/containerd/v2/core/mount"
	"github.com/containerd/containerd/v2/pkg/archive"
	"github.com/containerd/errdefs"
	"github.com/distribution/reference"
	"github.com/google/uuid"
	dockerspec "github.com/moby/docker-image-spec/specs-go/v1"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"golang.org/x/sync/errgroup"
)

// emptyLayer is the digest of a layer without files: it is not stored.
const emptyLayer digest.Digest = "sha256:5f70bf18a086007016e948b04aed3b82103a36bea41755b6cddfaf10ace3c6ef"

// CommitOptions are what an image is made from of a container.
type CommitOptions struct {
	// Parent is the ID of the image that the container was made from.
	Parent digest.Digest
	// Snapshotter has the container's root filesystem as Snapshot.
	Snapshotter, Snapshot string
	// Without are absolute paths of which no empty file nor directory is taken:
	// what is mounted over them left them there.
	Without []string
	// Read, if not nil, is called when the files have been read: the
	// container may go on changing them.
	Read func()
	// Config is the container's, and Changes are instructions of a Dockerfile
	// that are applied to it.
	Config  dockerspec.DockerOCIImageConfig
	Changes []string
	// Target is the image's name; nil leaves it without one.
	Target reference.NamedTagged
	// CreatedBy is the command that the container ran.
	Author, Comment, CreatedBy string
}

// Commit makes an image of what a container changed in its root filesystem,
// over the layers of its image, and returns its ID. The same changes make the
// same layer. When it fails nothing is left.
func (s *Service) Commit(ctx context.Context, o CommitOptions) (_ digest.Digest, err error) {
	defer func() { err = explain(err) }()
	if err := applyChanges(&o.Config, o.Changes); err != nil {
		return "", err
	}
	ctx, release, err := s.lease(s.engine.Context(ctx), opCommit)
	if err != nil {
		return "", err
	}
	defer func() { release(err != nil) }()
	parent, err := s.Resolve(ctx, o.Parent.String())
	if err != nil {
		return "", fmt.Errorf("the image of the container: %w", err)
	}
	layer, err := s.changesOf(ctx, o.Snapshotter, o.Snapshot, o.Without, o.Read)
	if err != nil {
		return "", err
	}
	spec, layers := parent.Spec, slices.Clone(parent.Layers)
	now := time.Now().UTC()
	spec.Created, spec.Author, spec.Config = &now, o.Author, o.Config
	spec.History = append(slices.Clone(spec.History), ocispec.History{
		Created: &now, CreatedBy: o.CreatedBy, Author: o.Author, Comment: o.Comment, EmptyLayer: layer.Digest == emptyLayer,
	})
	if layer.Digest != emptyLayer {
		layers = append(layers, layer)
		spec.RootFS.DiffIDs = append(slices.Clone(spec.RootFS.DiffIDs), layer.Digest)
	}
	i, err := s.assemble(ctx, spec, layers, parent.Manifest.MediaType == images.MediaTypeDockerSchema2Manifest)
	if err != nil {
		return "", err
	}
	if err := s.keep(ctx, i, o.Target); err != nil {
		return "", err
	}
	return i.ID, nil
}

// changesOf stores as a layer what a snapshot has over its parent. read is
// called when the snapshot is no longer needed.
func (s *Service) changesOf(ctx context.Context, snapshotter, key string, without []string, read func()) (d ocispec.Descriptor, err error) {
	snapshots := s.client().SnapshotService(snapshotter)
	if snapshots == nil {
		return d, errdefs.ErrInvalidArgument.WithMessage(fmt.Sprintf("this daemon has no snapshotter %q", snapshotter))
	}
	defer func() {
		if err != nil {
			err = fmt.Errorf("read what the container changed: %w", err)
		} else if read != nil {
			read()
		}
	}()
	info, err := snapshots.Stat(ctx, key)
	if err != nil {
		return d, err
	}
	view := "pouchfx-parent-" + uuid.NewString()
	lower, err := snapshots.View(ctx, view, info.Parent)
	if err != nil {
		return d, err
	}
	defer func() { _ = snapshots.Remove(context.WithoutCancel(ctx), view) }() // else the lease's end does
	upper, err := snapshots.Mounts(ctx, key)
	if err != nil {
		return d, err
	}
	return s.storePlain(ctx, func(w io.Writer) error {
		return mount.WithReadonlyTempMount(ctx, lower, func(lower string) error {
			return mount.WithReadonlyTempMount(ctx, upper, func(upper string) error {
				return writeChanges(ctx, w, lower, upper, without)
			})
		})
	})
}

// writeChanges writes a layer of what a directory has over another.
func writeChanges(ctx context.Context, w io.Writer, lower, upper string, without []string) error {
	r, all := io.Pipe()
	var walk errgroup.Group
	walk.Go(func() error {
		err := archive.WriteDiff(ctx, all, lower, upper)
		_ = all.CloseWithError(err)
		return err
	})
	err := copyTar(w, r, without)
	if err == nil {
		_, err = io.Copy(io.Discard, r) // what pads it
	}
	_ = r.CloseWithError(err) // the walk ends, too
	return cmp.Or(err, walk.Wait())
}
