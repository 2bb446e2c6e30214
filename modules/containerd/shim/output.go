package shim

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"sync"

	tasks "github.com/containerd/containerd/api/runtime/task/v3"
	"github.com/containerd/ttrpc"
	"golang.org/x/sys/unix"
)

// Output is read ends of the named pipes that a container writes to. While one
// is open the kernel keeps what is in the pipe, also when the container has
// ended and no daemon is there to read it. Nothing is read from them, and a
// reader still finds the end of the output.
type Output []*os.File

// HoldOutput opens the pipes at the paths; an empty path is none. It waits for
// nobody. On an error it returns those that it could open.
func HoldOutput(paths ...string) (o Output, err error) {
	for _, path := range paths {
		if path == "" {
			continue
		}
		f, e := os.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK|unix.O_NOFOLLOW, 0)
		if e != nil {
			err = errors.Join(err, e)
			continue
		}
		if info, e := f.Stat(); e != nil || info.Mode().Type() != fs.ModeNamedPipe {
			err = errors.Join(err, e, fmt.Errorf("%s is no named pipe", path), f.Close())
			continue
		}
		o = append(o, f)
	}
	return o, err
}

// Grow makes room for size bytes in each pipe.
func (o Output) Grow(size int) error {
	var errs []error
	for _, f := range o {
		raw, err := f.SyscallConn()
		if err == nil {
			var failed error
			err = raw.Control(func(fd uintptr) { _, failed = unix.FcntlInt(fd, unix.F_SETPIPE_SZ, size) })
			err = errors.Join(err, failed)
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// Close lets go of the pipes.
func (o Output) Close() error {
	var errs []error
	for _, f := range o {
		errs = append(errs, f.Close())
	}
	return errors.Join(errs...)
}

// holding is a task service that keeps the output of its containers until they
// are deleted. The service itself lets go of the pipes when a process has
// ended, and with no daemon there its last words would be gone.
type holding struct {
	tasks.TTRPCTaskService

	mu       sync.Mutex
	held     map[string]Output // by container
	creating int
	used     bool // since deserted was last asked
}

func newHolding(next tasks.TTRPCTaskService) *holding {
	return &holding{TTRPCTaskService: next, held: make(map[string]Output), used: true}
}

// deserted reports whether there was no container since it was last asked.
func (h *holding) deserted() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	used := h.used || h.creating > 0 || len(h.held) > 0
	h.used = false
	return !used
}

// RegisterTTRPC makes the shim serve this service.
func (h *holding) RegisterTTRPC(server *ttrpc.Server) error {
	tasks.RegisterTTRPCTaskService(server, h)
	return nil
}

// Create opens the pipes after the service has, which waits for the daemon's
// ends; nothing has been written then.
func (h *holding) Create(ctx context.Context, r *tasks.CreateTaskRequest) (*tasks.CreateTaskResponse, error) {
	h.begin(1)
	defer h.begin(-1)
	resp, err := h.TTRPCTaskService.Create(ctx, r)
	if err == nil {
		// What is no pipe, as a file or another logger, keeps the output itself.
		o, _ := HoldOutput(r.Stdout, r.Stderr)
		h.mu.Lock()
		h.held[r.ID] = o
		h.mu.Unlock()
	}
	return resp, err
}

func (h *holding) begin(n int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.creating += n
	h.used = true
}

// Delete lets go of the pipes along with the container.
func (h *holding) Delete(ctx context.Context, r *tasks.DeleteRequest) (*tasks.DeleteResponse, error) {
	resp, err := h.TTRPCTaskService.Delete(ctx, r)
	if err == nil && r.ExecID == "" {
		h.mu.Lock()
		o := h.held[r.ID]
		delete(h.held, r.ID)
		h.used = true
		h.mu.Unlock()
		_ = o.Close()
	}
	return resp, err
}
