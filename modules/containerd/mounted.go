package containerd

import (
	"slices"
	"strings"

	"github.com/containerd/containerd/v2/core/mount"
	"github.com/containerd/errdefs"
	"github.com/moby/sys/mountinfo"
)

// MountedAt finds where a snapshot is mounted on this host already. A second
// mount of an overlay's upper directory beside it is something the kernel does
// not allow. When it is mounted nowhere, or for reading alone, the error is an
// errdefs.ErrNotFound.
func MountedAt(mounts []mount.Mount) (string, error) {
	if len(mounts) == 0 {
		return "", errdefs.ErrNotFound.WithMessage("the container has no root filesystem")
	}
	last := mounts[len(mounts)-1]
	if last.Type == "bind" { // of a snapshotter that keeps plain directories
		return last.Source, nil
	}
	at := slices.IndexFunc(last.Options, func(o string) bool { return strings.HasPrefix(o, "upperdir=") })
	if at < 0 {
		return "", errdefs.ErrNotFound.WithMessage("the container's root filesystem cannot be written")
	}
	found, err := mountinfo.GetMounts(func(m *mountinfo.Info) (skip, stop bool) {
		return !slices.Contains(strings.Split(m.VFSOptions, ","), last.Options[at]), false
	})
	if err != nil {
		return "", err
	}
	if len(found) == 0 {
		return "", errdefs.ErrNotFound.WithMessage("the container's root filesystem is not mounted")
	}
	return found[0].Mountpoint, nil
}
