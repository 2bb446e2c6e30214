package containers

import (
	"errors"
	"path/filepath"
	"slices"
	"strings"

	coremount "github.com/containerd/containerd/v2/core/mount"
	"github.com/moby/sys/mountinfo"
)

// baseFS is where the engine mounts a container's root filesystem.
func (s *Service) baseFS(id string) string { return filepath.Join(s.Bundles, id, "rootfs") }

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
