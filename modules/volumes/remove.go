package volumes

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/containerd/errdefs"
	eventtypes "github.com/moby/moby/api/types/events"
	"github.com/moby/moby/api/types/volume"
	"github.com/moby/sys/mountinfo"
	"go.uber.org/zap"

	"github.com/pouchfx/pouchfx/modules/filters"
)

// Remove removes a volume and its data. Its error is an errdefs.ErrNotFound,
// unless force is set, or an errdefs.ErrConflict that names the containers
// that use the volume.
func (s *Service) Remove(ctx context.Context, name string, force bool) error {
	trash, err := s.detach(name)
	switch {
	case force && errdefs.IsNotFound(err):
		return nil
	case err != nil:
		return err
	}
	return s.empty(trash)
}

// detach takes a volume out of sight: its directory moves to one that the
// next start empties, then its record goes.
func (s *Service) detach(name string) (trash string, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	e, err := s.find(name)
	if err != nil {
		return "", err
	}
	if len(e.users) > 0 {
		users := slices.Sorted(maps.Keys(e.users))
		return "", errdefs.ErrConflict.WithMessage(fmt.Sprintf("remove %s: volume is in use - [%s]", name, strings.Join(users, ", ")))
	}
	fail := func(err error) (string, error) { return "", fmt.Errorf("remove %s: %w", name, err) }
	if err := s.unmount(e); err != nil {
		return fail(err)
	}
	// What is mounted in there is not the volume's: it must not be deleted.
	inside, err := mountinfo.GetMounts(mountinfo.PrefixFilter(filepath.Join(s.path, name)))
	if err != nil {
		return fail(err)
	}
	if len(inside) > 0 {
		return "", errdefs.ErrConflict.WithMessage(fmt.Sprintf("remove %s: something is mounted at %s: unmount it first", name, inside[0].Mountpoint))
	}
	trash = trashPrefix + randomName()[:16]
	if err := s.root.Mkdir(trash, 0o700); err != nil {
		return fail(err)
	}
	if err := s.root.Rename(name, filepath.Join(trash, name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fail(errors.Join(err, s.root.RemoveAll(trash)))
	}
	if err := s.records.Delete(bucket, name); err != nil {
		return fail(errors.Join(err, s.root.Rename(filepath.Join(trash, name), name), s.root.RemoveAll(trash)))
	}
	delete(s.volumes, name)
	s.bus.Volume(eventtypes.ActionDestroy, name, map[string]string{"driver": LocalDriver})
	return trash, nil
}

// empty deletes what was detached. No link in it is followed.
func (s *Service) empty(trash string) error {
	if err := s.root.RemoveAll(trash); err != nil {
		return fmt.Errorf("the volume is gone but its data could not be deleted; the daemon's next start tries again: %w", err)
	}
	return nil
}

// Prune removes the volumes that no container refers to and that pass the
// filters label and label!: anonymous ones only, unless the filter all is
// true.
func (s *Service) Prune(ctx context.Context, f filters.Args) (volume.PruneReport, error) {
	report := volume.PruneReport{VolumesDeleted: []string{}}
	if err := f.Validate("all", "label", "label!"); err != nil {
		return report, err
	}
	all, err := f.Bool("all", false)
	if err != nil {
		return report, err
	}
	for _, name := range s.prunable(f, all) {
		if err := ctx.Err(); err != nil {
			return report, err
		}
		trash, err := s.detach(name)
		if errdefs.IsNotFound(err) || errdefs.IsConflict(err) {
			continue // gone or taken meanwhile
		}
		if err != nil {
			return report, err
		}
		report.VolumesDeleted = append(report.VolumesDeleted, name)
		report.SpaceReclaimed += s.size(trash)
		if err := s.empty(trash); err != nil {
			s.log.Warn("cannot delete a volume's data", zap.String("volume", name), zap.Error(err))
		}
	}
	s.bus.Volume(eventtypes.ActionPrune, "", map[string]string{"reclaimed": strconv.FormatUint(report.SpaceReclaimed, 10)})
	return report, nil
}

// prunable returns the names of the volumes that Prune is to remove.
func (s *Service) prunable(f filters.Args, all bool) []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var names []string
	for name, e := range s.volumes {
		if _, anonymous := e.Labels[AnonymousLabel]; (all || anonymous) && len(e.users) == 0 && f.Labels(e.Labels) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// size adds up the files below a path of ours; what cannot be read counts as
// nothing.
func (s *Service) size(path string) uint64 {
	var total uint64
	_ = fs.WalkDir(s.root.FS(), path, func(_ string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return nil
		}
		if info, err := d.Info(); err == nil {
			total += uint64(info.Size())
		}
		return nil
	})
	return total
}
