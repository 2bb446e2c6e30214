package volumes

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"

	"github.com/containerd/containerd/v2/core/mount"
	"github.com/containerd/errdefs"
	eventtypes "github.com/moby/moby/api/types/events"
	"github.com/moby/sys/mountinfo"
	"go.uber.org/zap"
)

// Acquire notes that a container refers to a volume, from the container's
// create, or its being found again, to its removal. Until then the volume
// cannot be removed. Its error is an errdefs.ErrNotFound.
func (s *Service) Acquire(_ context.Context, name, containerID string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	e, err := s.find(name)
	if err != nil {
		return err
	}
	e.users[containerID] = struct{}{}
	return nil
}

// Release ends what Acquire began, and the container's mount if it has one.
// It is safe for volumes and containers that are unknown.
func (s *Service) Release(ctx context.Context, name, containerID string) {
	if err := s.Unmount(ctx, name, containerID); err != nil {
		s.log.Warn("cannot unmount a volume that its container no longer needs",
			zap.String("volume", name), zap.String("container", containerID), zap.Error(err))
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if e, ok := s.volumes[name]; ok {
		delete(e.users, containerID)
	}
}

// Mount returns the directory to be mounted in a container that has acquired
// the volume. A volume with options is mounted there for its first container;
// one that is mounted already, as for a container that outlived the daemon,
// is left as it is.
func (s *Service) Mount(ctx context.Context, name, containerID string) (string, error) {
	e, err := s.user(name, containerID)
	if err != nil {
		return "", err
	}
	e.mounting.Lock()
	defer e.mounting.Unlock()
	if _, ok := e.mounts[containerID]; ok {
		return s.dataPath(name), nil
	}
	if len(e.mounts) == 0 {
		if err := s.mount(ctx, e); err != nil {
			return "", fmt.Errorf("mount volume %s: %w", name, err)
		}
	}
	e.mounts[containerID] = struct{}{}
	s.bus.Volume(eventtypes.ActionMount, name, map[string]string{"driver": LocalDriver, "container": containerID})
	return s.dataPath(name), nil
}

// user returns a volume that the container has acquired.
func (s *Service) user(name, containerID string) (*entry, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	e, err := s.find(name)
	if err != nil {
		return nil, err
	}
	if _, ok := e.users[containerID]; !ok {
		return nil, errdefs.ErrFailedPrecondition.WithMessage(fmt.Sprintf("mount volume %s: container %s has not acquired it", name, containerID))
	}
	return e, nil
}

// Unmount ends what Mount began, when the container has ended. Without the
// last of its containers a volume with options is unmounted.
func (s *Service) Unmount(_ context.Context, name, containerID string) error {
	s.mu.Lock()
	e, ok := s.volumes[name]
	s.mu.Unlock()
	if !ok {
		return nil
	}
	e.mounting.Lock()
	defer e.mounting.Unlock()
	if _, ok := e.mounts[containerID]; !ok {
		return nil
	}
	if len(e.mounts) == 1 {
		if err := s.unmount(e); err != nil {
			return fmt.Errorf("unmount volume %s: %w", name, err)
		}
	}
	delete(e.mounts, containerID)
	s.bus.Volume(eventtypes.ActionUnmount, name, map[string]string{"driver": LocalDriver, "container": containerID})
	return nil
}

// UnmountUnused unmounts volumes that no container uses: what was mounted for
// containers that ended while no daemon ran. It is called once all containers
// that still run have called Mount.
func (s *Service) UnmountUnused(context.Context) error {
	s.mu.Lock()
	volumes := maps.Clone(s.volumes)
	s.mu.Unlock()
	var errs []error
	for name, e := range volumes {
		e.mounting.Lock()
		if len(e.mounts) == 0 {
			if err := s.unmount(e); err != nil {
				errs = append(errs, fmt.Errorf("unmount volume %s: %w", name, err))
			}
		}
		e.mounting.Unlock()
	}
	return errors.Join(errs...)
}

// mount mounts what a volume's options say on its directory, unless that was
// done before.
func (s *Service) mount(ctx context.Context, e *entry) error {
	m, err := parseOptions(e.Options)
	if m == nil || err != nil {
		return err
	}
	target := s.dataPath(e.Name)
	if mounted, err := mountinfo.Mounted(target); mounted || err != nil {
		return err
	}
	if err := resolveAddr(ctx, m); err != nil {
		return err
	}
	if err := m.Mount(target); err != nil {
		return fmt.Errorf("cannot mount %s (type %s, options %v): %w", m.Source, m.Type, m.Options, err)
	}
	return nil
}

// unmount undoes mount.
func (s *Service) unmount(e *entry) error {
	if len(e.Options) == 0 {
		return nil
	}
	target := s.dataPath(e.Name)
	mounted, err := mountinfo.Mounted(target)
	if errors.Is(err, fs.ErrNotExist) || (err == nil && !mounted) {
		return nil
	}
	return errors.Join(err, mount.UnmountAll(target, 0))
}
