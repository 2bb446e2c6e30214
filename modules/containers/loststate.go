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

	"github.com/containerd/containerd/api/services/tasks/v1"
	"github.com/containerd/errdefs"
	"github.com/containerd/errdefs/pkg/errgrpc"
	"go.uber.org/zap"

	"github.com/pouchfx/pouchfx/modules/containerd"
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
	ctx, cancel := context.WithTimeout(ctx, engineTimeout)
	defer cancel()
	_, options := s.Engine.Runtime()
	out, err := exec.CommandContext(ctx, options.BinaryName, "--root", filepath.Dir(state), "delete", "--force", id).CombinedOutput()
	if err != nil {
		return fmt.Errorf("runc delete: %w: %s", err, bytes.TrimSpace(out))
	}
	return os.RemoveAll(state) // half-made, it is nothing to the runtime
}
