package containers

import (
	"context"
	"errors"
	"path/filepath"
	"slices"
	"strings"

	coremount "github.com/containerd/containerd/v2/core/mount"
	"github.com/containerd/containerd/v2/core/snapshots"
	"github.com/moby/sys/mountinfo"
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

// mountedAt finds where a snapshot is mounted already. A second mount of an
// overlay's upper directory beside it is something the kernel does not allow.
func mountedAt(mounts []coremount.Mount) (string, error) {
	if len(mounts) == 0 {
		return "", errors.New("the container has no root filesystem")
	}
	last := mounts[len(mounts)-1]
	if last.Type == "bind" { // of a snapshotter that keeps plain directories
		return last.Source, nil
	}
	at := slices.IndexFunc(last.Options, func(o string) bool { return strings.HasPrefix(o, "upperdir=") })
	if at < 0 {
		return "", errors.New("the container's root filesystem cannot be written")
	}
	found, err := mountinfo.GetMounts(func(m *mountinfo.Info) (skip, stop bool) {
		return !slices.Contains(strings.Split(m.VFSOptions, ","), last.Options[at]), false
	})
	if err != nil {
		return "", err
	}
	if len(found) == 0 {
		return "", errors.New("cannot find where the container's root filesystem is mounted")
	}
	return found[0].Mountpoint, nil
}
