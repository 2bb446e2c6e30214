package containers

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"

	"github.com/containerd/containerd/api/services/tasks/v1"
	"github.com/containerd/errdefs"
	"github.com/containerd/errdefs/pkg/errgrpc"
	"go.uber.org/zap"
	"golang.org/x/sys/unix"

	"github.com/pouchfx/pouchfx/modules/containerd"
	"github.com/pouchfx/pouchfx/modules/containerd/shim"
)

// runtimeState is where the runtime keeps what it knows of a container.
func (s *Service) runtimeState(id string) string {
	_, options := s.Engine.Runtime()
	return filepath.Join(options.Root, containerd.Namespace, id)
}

// removeLostState removes what the runtime has of a container that containerd
// knows no task of. A shim that was ended in the middle of a create can leave
// that behind, and the container could not be started again.
func (s *Service) removeLostState(ctx context.Context, id string) error {
	state := s.runtimeState(id)
	if _, err := os.Lstat(state); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	_, err := s.Engine.Client().TaskService().Get(ctx, &tasks.GetRequest{ContainerID: id})
	if err == nil || !errdefs.IsNotFound(errgrpc.ToNative(err)) {
		return err
	}
	s.Log.Warn("removing what is left of a start that was interrupted", zap.String("container", id))
	if err := endShim(id); err != nil {
		return fmt.Errorf("end the shim: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, engineTimeout)
	defer cancel()
	_, options := s.Engine.Runtime()
	out, err := exec.CommandContext(ctx, options.BinaryName, "--root", filepath.Dir(state), "delete", "--force", id).CombinedOutput()
	if err != nil {
		return fmt.Errorf("runc delete: %w: %s", err, bytes.TrimSpace(out))
	}
	return os.RemoveAll(state) // half-made, it is nothing to the runtime
}

// endShim kills the shim of a container that containerd knows no task of: it
// would wait for ever for somebody to delete its own.
func endShim(id string) error {
	dirs, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		return err
	}
	for _, dir := range dirs {
		if pid, err := strconv.Atoi(filepath.Base(dir)); err == nil && isShimOf(pid, id) {
			return killShim(pid, id)
		}
	}
	return nil
}

func isShimOf(pid int, id string) bool {
	line, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
	if err != nil {
		return false
	}
	var args []string
	for arg := range bytes.SplitSeq(line, []byte{0}) {
		args = append(args, string(arg))
	}
	at := slices.Index(args, "-id")
	return filepath.Base(args[0]) == shim.Name && at > 0 && at+1 < len(args) && args[at+1] == id
}

// killShim kills the process unless its number has become that of another.
func killShim(pid int, id string) error {
	fd, err := unix.PidfdOpen(pid, 0)
	if err == nil {
		defer unix.Close(fd)
		if isShimOf(pid, id) {
			err = unix.PidfdSendSignal(fd, unix.SIGKILL, nil, 0)
		}
	}
	if errors.Is(err, unix.ESRCH) {
		return nil
	}
	return err
}
