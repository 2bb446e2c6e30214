package containers

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"

	"golang.org/x/sys/unix"

	"github.com/pouchfx/pouchfx/modules/containers/ocispec"
	"github.com/pouchfx/pouchfx/types"
)

// The shared memory of a container that shares it is mounted on the host, so
// that others can have it too. It goes with the run.

func (s *Service) shmPath(id string) string { return filepath.Join(s.execDir(id), "shm") }

// joinIPC finds the namespace and the shared memory that a start uses; both are
// empty for its own.
func (s *Service) joinIPC(ctx context.Context, c *ctr, h *types.HostConfig, undo *undoList) (ns, shm string, err error) {
	switch {
	case h.IpcMode.IsShareable():
		shm = s.shmPath(c.id)
		if err := mountShm(shm, h.ShmSize); err != nil {
			return "", "", fmt.Errorf("cannot mount the shared memory: %w", err)
		}
		undo.add("shared memory", func(context.Context) error { return s.unmountShm(c.id) })
		return "", shm, nil
	case h.IpcMode.IsContainer():
		other, err := s.index.get(h.IpcMode.Container())
		if err != nil {
			return "", "", err
		}
		mode := other.record().HostConfig.IpcMode
		if !mode.IsShareable() {
			return "", "", invalid("can not join IPC of container %s: non-shareable IPC (hint: use IpcMode:shareable for the donor container)", h.IpcMode.Container())
		}
		ns, err = s.joined(other.id, "ipc")
		return ns, s.shmPath(other.id), err
	}
	return "", "", nil
}

func mountShm(at string, size int64) error {
	if size <= 0 {
		size = ocispec.DefaultShmSize
	}
	if err := os.MkdirAll(at, 0o700); err != nil {
		return err
	}
	return unix.Mount("shm", at, "tmpfs", unix.MS_NOEXEC|unix.MS_NOSUID|unix.MS_NODEV, "mode=1777,size="+strconv.FormatInt(size, 10))
}

// unmountShm lets go of a container's shared memory, if it shares any. Those who
// have it keep it.
func (s *Service) unmountShm(id string) error {
	err := unix.Unmount(s.shmPath(id), unix.MNT_DETACH|unix.UMOUNT_NOFOLLOW)
	if errors.Is(err, unix.EINVAL) || errors.Is(err, unix.ENOENT) { // it is not mounted
		return nil
	}
	return err
}
