package containers

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	coremount "github.com/containerd/containerd/v2/core/mount"
	continuity "github.com/containerd/continuity/fs"
	"github.com/containerd/errdefs"
	"github.com/moby/moby/api/types/mount"

	"github.com/pouchfx/pouchfx/modules/containers/mountspec"
	"github.com/pouchfx/pouchfx/types"
)

// planVolumes gives anonymous volumes their names and returns the names of
// those that have to be made.
func (s *Service) planVolumes(ctx context.Context, r *record) (made []string, err error) {
	for i := range r.Mounts {
		m := &r.Mounts[i]
		if m.Type != mount.TypeVolume {
			continue
		}
		if m.Anonymous && m.Name == "" {
			m.Name = newID()
		} else if _, err := s.Volumes.Get(ctx, m.Name); err == nil {
			continue
		} else if !errdefs.IsNotFound(err) {
			return nil, err
		}
		if !slices.Contains(made, m.Name) {
			made = append(made, m.Name)
		}
	}
	return made, nil
}

// labelAnonymous marks volumes that nobody named, as dockerd does.
const labelAnonymous = "com.docker.volume.anonymous"

// makeVolumes makes the volumes that are not there, refers to all, and copies
// the image's content into those that are new to it.
func (s *Service) makeVolumes(ctx context.Context, c *ctr, made []string, undo *undoList) error {
	r := c.record()
	for i := range r.Mounts {
		m := &r.Mounts[i]
		if m.Type != mount.TypeVolume {
			continue
		}
		labels := map[string]string{}
		for k, v := range m.Labels {
			labels[k] = v
		}
		if m.Anonymous {
			labels[labelAnonymous] = ""
		}
		v, err := s.Volumes.CreateFor(ctx, &types.VolumeCreateConfig{Name: m.Name, Driver: m.Driver, DriverOpts: m.DriverOptions, Labels: labels}, c.id)
		if err != nil {
			return err
		}
		if slices.Contains(made, m.Name) {
			undo.add("volume", func(ctx context.Context) error { return s.Volumes.Remove(ctx, v.Name, true) })
		}
		m.Name, m.Source, m.Driver = v.Name, filepath.Join(v.Mountpoint, filepath.FromSlash(m.Subpath)), v.Driver
		undo.add("volume reference", func(ctx context.Context) error { s.Volumes.Release(ctx, v.Name, c.id); return nil })
	}
	return s.fillVolumes(ctx, c)
}

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
