package containers

import (
	"context"
	"path/filepath"

	coremount "github.com/containerd/containerd/v2/core/mount"
	"github.com/containerd/containerd/v2/core/snapshots"
)

// baseFS is where the engine mounts a container's root filesystem.
func (s *Service) baseFS(id string) string { return filepath.Join(s.Bundles, id, "rootfs") }

// snapshots is the snapshotter of the given name.
func (s *Service) snapshots(name string) (snapshots.Snapshotter, error) {
	service := s.Engine.Client().SnapshotService(name)
	if service == nil {
		return nil, invalid("this daemon has no snapshotter %q", name)
	}
	return service, nil
}

// rootMounts are what a container's root filesystem is mounted from.
func (s *Service) rootMounts(ctx context.Context, c *ctr) ([]coremount.Mount, error) {
	snapshotter, err := s.snapshots(c.record().Snapshotter)
	if err != nil {
		return nil, err
	}
	return snapshotter.Mounts(ctx, c.id)
}

// withMount calls f with the place where mount mounts. What f says comes back
// without that place in front of it, which is gone then.
func withMount(mount func(context.Context, []coremount.Mount, func(string) error) error, ctx context.Context, mounts []coremount.Mount, f func(root string) error) error {
	var failed error
	err := mount(ctx, mounts, func(root string) error {
		failed = f(root)
		return failed
	})
	if failed != nil {
		return failed
	}
	return err
}

// removeSnapshot removes a container's root filesystem.
func (s *Service) removeSnapshot(ctx context.Context, snapshotter, id string) error {
	service, err := s.snapshots(snapshotter)
	if err != nil {
		return err
	}
	return service.Remove(ctx, id)
}
