package containerd

import (
	"context"
	"encoding/json"
	"net"
	"os"
	"path/filepath"
	"sync"
	"time"

	tasks "github.com/containerd/containerd/api/runtime/task/v3"
	tasktypes "github.com/containerd/containerd/api/types/task"
	"github.com/containerd/containerd/v2/cmd/containerd-shim-runc-v2/runc"
	"github.com/containerd/containerd/v2/pkg/namespaces"
	"github.com/containerd/containerd/v2/pkg/shim"
	"github.com/containerd/ttrpc"

	ourshim "github.com/pouchfx/pouchfx/modules/containerd/shim"
)

// shimTimeout bounds how long a start waits for the answer of one shim.
const shimTimeout = 2 * time.Second

// Exit is how a container's first process ended.
type Exit struct {
	// Status is the exit status, 128 + n for signal n.
	Status uint32
	// At is when.
	At time.Time
}

// LastExit tells how a container ended while no daemon was running, or while
// this one was starting. containerd throws that away when it starts; it is
// read before. The answer is about the task that the container had before the
// start and does not change afterwards.
func (e *Engine) LastExit(id string) (Exit, bool) {
	exit, ok := e.exits[id]
	return exit, ok
}

// ReleaseOutput lets go of what containers wrote while no daemon was running.
// The engine ends the shims of containers that have ended while it starts;
// until this is called, or Stop, what was in their pipes can still be read.
func (e *Engine) ReleaseOutput() {
	e.outputMu.Lock()
	defer e.outputMu.Unlock()
	_ = e.output.Close()
	e.output = nil
}

// exits collects how tasks ended, from the shims' bundles and from the shims
// themselves, up to the moment when the engine has taken the shims over. It
// keeps the output of all from being lost with their shims.
type exits struct {
	mu     sync.Mutex
	known  map[string]Exit
	output ourshim.Output
	cancel context.CancelFunc
	waits  sync.WaitGroup
}

// heldOutput is the room that a pipe needs for all that a container which has
// ended can have left: a full pipe, a full one between it and its shim, and
// what the shim is just copying.
const heldOutput = 256 << 10

// watchExits reads the bundles in dir. It returns when it knows about every
// task whether it has ended; those that have not are watched until finish.
func watchExits(ctx context.Context, dir string) *exits {
	x := &exits{known: map[string]Exit{}}
	ctx, x.cancel = context.WithCancel(namespaces.WithNamespace(context.WithoutCancel(ctx), Namespace))
	bundles, _ := os.ReadDir(dir) // not there before the first container
	var asked sync.WaitGroup
	for _, b := range bundles {
		asked.Add(1)
		x.waits.Go(func() { x.ask(ctx, filepath.Join(dir, b.Name()), asked.Done) })
	}
	asked.Wait()
	return x
}

// finish stops watching and returns what is known, and the output.
func (x *exits) finish() (map[string]Exit, ourshim.Output) {
	x.cancel()
	x.waits.Wait()
	return x.known, x.output
}

func (x *exits) add(id string, status uint32, at time.Time) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.known[id] = Exit{Status: status, At: at}
}

// hold keeps the pipes at the paths open. With room enough the shim of a task
// that has ended gets rid of all that it holds before it is ended itself.
func (x *exits) hold(paths ...string) {
	o, _ := ourshim.HoldOutput(paths...) // what is gone, or no pipe, cannot be held
	_ = o.Grow(heldOutput)
	x.mu.Lock()
	defer x.mu.Unlock()
	x.output = append(x.output, o...)
}

// ask gets a task's end from its bundle, or from its shim: at once when it has
// ended, else when it does. known is called when it is clear which.
func (x *exits) ask(ctx context.Context, bundle string, known func()) {
	known = sync.OnceFunc(known)
	defer known()
	exit, err := runc.ReadExitStatus(bundle)
	recorded := err == nil
	if recorded {
		x.add(filepath.Base(bundle), uint32(exit.Status), exit.Timestamp)
	}
	conn, err := dialShim(bundle)
	if err != nil {
		return // no shim: the engine will clean up after it
	}
	c := ttrpc.NewClient(conn)
	defer c.Close()
	shim, id := tasks.NewTTRPCTaskClient(c), filepath.Base(bundle)
	bounded, cancel := context.WithTimeout(ctx, shimTimeout)
	defer cancel()
	state, err := shim.State(bounded, &tasks.StateRequest{ID: id})
	if err != nil {
		return
	}
	x.hold(state.Stdout, state.Stderr)
	switch {
	case recorded:
		return
	case state.Status == tasktypes.Status_STOPPED:
		x.add(id, state.ExitStatus, state.ExitedAt.AsTime())
		return
	}
	known()
	if end, err := shim.Wait(ctx, &tasks.WaitRequest{ID: id}); err == nil {
		x.add(id, end.ExitStatus, end.ExitedAt.AsTime())
	}
}

func dialShim(bundle string) (net.Conn, error) {
	text, err := os.ReadFile(filepath.Join(bundle, "bootstrap.json"))
	if err != nil {
		return nil, err
	}
	var bootstrap struct {
		Address string `json:"address"`
	}
	if err := json.Unmarshal(text, &bootstrap); err != nil {
		return nil, err
	}
	return shim.AnonReconnectDialer(bootstrap.Address, shimTimeout)
}
