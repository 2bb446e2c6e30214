package containers

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"

	coremount "github.com/containerd/containerd/v2/core/mount"
	continuity "github.com/containerd/continuity/fs"
	"github.com/moby/moby/api/types/mount"

	"github.com/pouchfx/pouchfx/modules/containers/mountspec"
)

// fillVolumes copies what the image has at the place of each empty volume
// into it, with owners and modes, as dockerd does.
func (s *Service) fillVolumes(ctx context.Context, c *ctr) error {
	r := c.record()
	var wanted []mountspec.Mount
	for _, m := range r.Mounts {
		if m.Type == mount.TypeVolume && !m.NoCopy && m.Subpath == "" {
			wanted = append(wanted, m)
		}
	}
	if len(wanted) == 0 {
		return nil
	}
	mounts, err := s.rootMounts(ctx, c)
	if err != nil {
		return err
	}
	return coremount.WithReadonlyTempMount(ctx, mounts, func(root string) error {
		for _, m := range wanted {
			if err := s.fillVolume(ctx, c, root, m); err != nil {
				return fmt.Errorf("cannot copy the image's content of %s into volume %s: %w", m.Destination, m.Name, err)
			}
		}
		return nil
	})
}

func (s *Service) fillVolume(ctx context.Context, c *ctr, root string, m mountspec.Mount) error {
	source, err := continuity.RootPath(root, m.Destination) // no link leads out of root
	if err != nil {
		return err
	}
	info, err := os.Lstat(source)
	if errors.Is(err, fs.ErrNotExist) || err == nil && !info.IsDir() {
		return nil
	}
	if err != nil {
		return err
	}
	path, err := s.Volumes.Mount(ctx, m.Name, c.id)
	if err != nil {
		return err
	}
	defer s.Volumes.Unmount(ctx, m.Name, c.id)
	have, err := os.ReadDir(path)
	if err != nil || len(have) > 0 {
		return err
	}
	return continuity.CopyDir(path, source) // with the owner and mode of the directory itself
}
