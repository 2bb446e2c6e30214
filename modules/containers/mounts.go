package containers

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	continuity "github.com/containerd/continuity/fs"
	"github.com/moby/moby/api/types/mount"
	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/pouchfx/pouchfx/modules/containers/mountspec"
	"github.com/pouchfx/pouchfx/types"
)

// mountPoints are a container's mounts as hooks and clients see them.
func mountPoints(list []mountspec.Mount) []types.MountPoint {
	points := make([]types.MountPoint, len(list))
	for i, m := range list {
		points[i] = m.MountPoint
		if m.Type == mount.TypeTmpfs {
			points[i].Mode = strings.Join(m.Options, ",")
		}
	}
	return points
}

// withPoints returns the mounts that points describe after the PreStart hooks.
// What a point does not say is as it was for the mount of its destination.
func withPoints(list []mountspec.Mount, points []types.MountPoint) ([]mountspec.Mount, error) {
	var result []mountspec.Mount
	for _, p := range points {
		m := mountspec.Mount{MountPoint: p}
		at := slices.IndexFunc(list, func(m mountspec.Mount) bool { return m.Destination == p.Destination && m.Type == p.Type })
		if at >= 0 {
			m = list[at]
			m.MountPoint = p
		}
		if p.Type == mount.TypeTmpfs {
			m.Options = nil
			if p.Mode != "" {
				m.Options = strings.Split(p.Mode, ",")
			}
		}
		switch {
		case !filepath.IsAbs(p.Destination) || filepath.Clean(p.Destination) == "/":
			return nil, invalid("a mount added at start: invalid mount path: %q must be absolute and not '/'", p.Destination)
		case p.Type == mount.TypeBind && !filepath.IsAbs(p.Source):
			return nil, invalid("a mount added at start: invalid source %q: it must be absolute", p.Source)
		case p.Type == mount.TypeVolume && (at < 0 || list[at].Name != p.Name):
			return nil, invalid("a mount added at start: volume %s on %s: volumes are chosen when the container is created; use a bind", p.Name, p.Destination)
		case p.Type != mount.TypeBind && p.Type != mount.TypeVolume && p.Type != mount.TypeTmpfs:
			return nil, invalid("a mount added at start: mount type unknown: %q", p.Type)
		}
		result = append(result, m)
	}
	mountspec.Sort(result)
	return result, nil
}

// mountAll prepares the sources of a container's mounts and returns what the
// runtime mounts.
func (s *Service) mountAll(ctx context.Context, c *ctr, list []mountspec.Mount, undo *undoList) ([]specs.Mount, error) {
	var mounts []specs.Mount
	for _, m := range list {
		var err error
		switch m.Type {
		case mount.TypeTmpfs:
			mounts = append(mounts, specs.Mount{Destination: m.Destination, Type: "tmpfs", Source: "tmpfs", Options: m.Options})
			continue
		case mount.TypeVolume:
			m.Source, err = s.mountVolume(ctx, c, m, undo)
		case mount.TypeBind:
			if err = bindSource(m); err == nil {
				err = checkPropagation(m)
			}
		}
		if err != nil {
			return nil, err
		}
		mounts = append(mounts, bind(m))
	}
	return mounts, nil
}

func bind(m mountspec.Mount) specs.Mount {
	options := []string{"rbind"}
	if m.NonRecursive {
		options[0] = "bind"
	}
	if !m.RW {
		options = append(options, "ro")
	}
	propagation := m.Propagation
	if propagation == "" {
		propagation = mount.PropagationRPrivate
	}
	return specs.Mount{Destination: m.Destination, Type: "bind", Source: m.Source, Options: append(options, string(propagation))}
}

func (s *Service) mountVolume(ctx context.Context, c *ctr, m mountspec.Mount, undo *undoList) (string, error) {
	path, err := s.Volumes.Mount(ctx, m.Name, c.id)
	if err != nil {
		return "", err
	}
	undo.add("volume mount", func(ctx context.Context) error { return s.Volumes.Unmount(ctx, m.Name, c.id) })
	if m.Subpath == "" {
		return path, nil
	}
	sub, err := continuity.RootPath(path, m.Subpath) // no link leads out of the volume
	if err != nil {
		return "", err
	}
	if _, err := os.Stat(sub); err != nil {
		return "", invalid("cannot access path %s of volume %s: no such file or directory", m.Subpath, m.Name)
	}
	return sub, nil
}

// bindSource makes a bind's source where Docker would: for -v, not for --mount.
func bindSource(m mountspec.Mount) error {
	_, err := os.Stat(m.Source)
	switch {
	case err == nil:
		return nil
	case !errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("cannot use the bind source %s: %w", m.Source, err)
	case m.MustExist:
		return invalid("invalid mount config for type \"bind\": bind source path does not exist: %s", m.Source)
	}
	if err := os.MkdirAll(m.Source, 0o755); err != nil {
		return fmt.Errorf("error while creating mount source path '%s': %w", m.Source, err)
	}
	return nil
}

// missingSource reports a --mount whose source is not there, at create
// already.
func missingSource(list []mountspec.Mount) error {
	for _, m := range list {
		if m.Type == mount.TypeBind && m.MustExist {
			if err := bindSource(m); err != nil {
				return err
			}
		}
	}
	return nil
}

func (s *Service) unmountVolumes(ctx context.Context, c *ctr) error {
	var errs []error
	for _, m := range c.record().Mounts {
		if m.Type == mount.TypeVolume {
			errs = append(errs, s.Volumes.Unmount(ctx, m.Name, c.id))
		}
	}
	return errors.Join(errs...)
}
