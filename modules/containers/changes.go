package containers

import (
	"context"
	"io"
	"strings"

	"github.com/containerd/containerd/v2/core/leases"
	coremount "github.com/containerd/containerd/v2/core/mount"
	"github.com/moby/moby/api/types/container"
	eventtypes "github.com/moby/moby/api/types/events"

	"github.com/pouchfx/pouchfx/modules/containers/fsview"
	"github.com/pouchfx/pouchfx/modules/containers/ocispec"
)

// Export writes a container's root filesystem as a tar archive, to where begin
// says. What is mounted in it is not part of it.
func (s *Service) Export(ctx context.Context, name string, begin func() io.Writer) error {
	c, err := s.index.get(name)
	if err != nil {
		return err
	}
	return s.withView(ctx, c, exporting, func(ctx context.Context, v *fsview.View) error {
		if err := v.PackAll(ctx, begin()); err != nil {
			return err
		}
		s.publish(c, eventtypes.ActionExport)
		return nil
	})
}

// madeByRuntime are what every container has: places at which the runtime
// mounts something, and Docker's mark. An image that lacks them has them in all
// of its containers.
var madeByRuntime = []string{
	dockerMark, "/dev", "/dev/console", "/dev/mqueue", "/dev/pts", "/dev/shm", "/etc/hostname", "/etc/hosts", "/etc/resolv.conf",
	"/proc", "/sys", "/sys/fs", "/sys/fs/cgroup", ocispec.InitPath,
}

// Changes lists what differs between a container's root filesystem and its
// image; nil when nothing does.
func (s *Service) Changes(ctx context.Context, name string) (found []container.FilesystemChange, err error) {
	c, err := s.index.get(name)
	if err != nil {
		return nil, err
	}
	err = s.withView(ctx, c, exporting, func(ctx context.Context, now *fsview.View) error {
		return s.withImageView(ctx, c, func(before *fsview.View) error {
			upper, err := s.upperView(ctx, c)
			if err != nil {
				return err
			}
			if upper != nil {
				defer upper.Close()
			}
			found, err = fsview.Changes(ctx, now, before, upper, madeByRuntime...)
			return err
		})
	})
	return found, err
}

// withImageView calls f with the root filesystem that a container began with;
// nil for an empty one.
func (s *Service) withImageView(ctx context.Context, c *ctr, f func(*fsview.View) error) error {
	snapshotter, err := s.snapshots(c.record().Snapshotter)
	if err != nil {
		return err
	}
	info, err := snapshotter.Stat(ctx, c.id)
	if err != nil {
		return err
	}
	if info.Parent == "" {
		return f(nil)
	}
	leased, unlease, err := s.Engine.Client().WithLease(ctx, leases.WithRandomID(), leases.WithExpiration(undoTimeout))
	if err != nil {
		return err
	}
	defer func() { _ = unlease(context.WithoutCancel(ctx)) }() // it expires
	key := "pouchfx/view/" + newID()
	mounts, err := snapshotter.View(leased, key, info.Parent)
	if err != nil {
		return err
	}
	defer func() { _ = snapshotter.Remove(context.WithoutCancel(ctx), key) }() // else it is collected
	var v *fsview.View
	err = withMount(coremount.WithReadonlyTempMount, ctx, mounts, func(root string) error {
		v, err = fsview.Open(fsview.Options{Root: root, ReadOnly: true})
		return err
	})
	if err != nil {
		return err
	}
	defer v.Close()
	return f(v)
}

// upperView shows the directory in which an overlay keeps what the container
// changed; nil where there is none.
func (s *Service) upperView(ctx context.Context, c *ctr) (*fsview.View, error) {
	mounts, err := s.rootMounts(ctx, c)
	if err != nil {
		return nil, err
	}
	upper := upperDir(mounts)
	if upper == "" {
		return nil, nil
	}
	return fsview.Open(fsview.Options{Root: upper, ReadOnly: true})
}

// upperDir is where an overlay keeps what is changed; empty where there is none.
func upperDir(mounts []coremount.Mount) string {
	for _, m := range mounts {
		for _, o := range m.Options {
			if upper, ok := strings.CutPrefix(o, "upperdir="); ok {
				return upper
			}
		}
	}
	return ""
}
