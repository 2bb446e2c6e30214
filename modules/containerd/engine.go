package containerd

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"

	"github.com/containerd/containerd/api/types/runc/options"
	"github.com/containerd/containerd/v2/client"
	"github.com/containerd/containerd/v2/pkg/namespaces"
	"go.uber.org/zap"
	"google.golang.org/grpc"

	"github.com/pouchfx/pouchfx/modules/containerd/shim"
)

const (
	// Namespace holds everything of this daemon in containerd.
	Namespace = "pouchfx"
	// DefaultSnapshotter holds root filesystems where nobody says otherwise.
	DefaultSnapshotter = "overlayfs"
)

// Config says where the engine lives.
type Config struct {
	// Root holds what outlives a reboot; the daemon's data root.
	Root string
	// State holds what does not: the daemon's exec root.
	State string
	// Address is the socket of an external containerd; empty means the
	// embedded one.
	Address string
	// Snapshotter is where root filesystems are; empty means
	// DefaultSnapshotter.
	Snapshotter string
	// Executable is the program that is a container's shim, hook and init, a
	// main that calls role.Play; empty means this binary. Tests give one
	// without the race detector, with which each container takes seconds.
	Executable string
	// CRI has containerd's CRI run too; nil means no.
	CRI *CRIConfig
}

// Engine is containerd and what containers run with. Its methods may be used
// between Start and Stop.
type Engine struct {
	config Config
	log    *zap.Logger
	failed chan error

	client    *client.Client
	cri       *grpc.ClientConn
	podClient *client.Client
	binaries  binaries
	sockets   string             // directory of the shims' sockets
	exits     map[string]Exit    // read before the engine started
	outputMu  sync.Mutex         // guards output
	output    shim.Output        // of the containers of then
	features  func() runcResult  // waits for `runc features`
	closers   []func() error     // undone by Stop, last first
	cancel    context.CancelFunc // ends what runs in the background
	running   sync.WaitGroup
}

// New makes an engine; Start brings it to life.
func New(c Config, log *zap.Logger) *Engine {
	if c.Snapshotter == "" {
		c.Snapshotter = DefaultSnapshotter
	}
	return &Engine{config: c, log: log, failed: make(chan error, 1)}
}

// Start locks the roots, unpacks the binaries and starts or connects to
// containerd. Its errors say what to do. After a failed Start everything is
// as before it; Stop need not be called, and may be.
func (e *Engine) Start(ctx context.Context) (err error) {
	if os.Geteuid() != 0 {
		return errors.New("containers need root: start the daemon as root, for instance with sudo")
	}
	defer func() {
		if err != nil {
			err = errors.Join(explain(err), e.Stop(ctx))
		}
	}()
	background, cancel := context.WithCancel(context.WithoutCancel(ctx))
	e.cancel = cancel
	if err := e.lockRoots(ctx); err != nil {
		return err
	}
	e.onStop(e.removeCgroups)
	if e.binaries, err = installBinaries(filepath.Join(e.config.Root, "bin"), e.config.Executable); err != nil {
		return err
	}
	e.inspectRunc(background)
	if e.Embedded() {
		return e.startEmbedded(ctx)
	}
	if err := e.connect(ctx); err != nil {
		return err
	}
	e.running.Go(func() { e.tellOfOutages(background) })
	return nil
}

// Stop ends the engine. Containers go on running. It is safe without Start
// and twice.
func (e *Engine) Stop(context.Context) error {
	if e.cancel != nil {
		e.cancel()
	}
	e.running.Wait()
	var errs []error
	for i := len(e.closers) - 1; i >= 0; i-- {
		errs = append(errs, e.closers[i]())
	}
	e.closers = nil
	e.client, e.cri, e.podClient = nil, nil, nil
	return errors.Join(errs...)
}

// onStop has f called by Stop, before what was registered earlier.
func (e *Engine) onStop(f func() error) { e.closers = append(e.closers, f) }

// Embedded tells whether containerd runs in this process.
func (e *Engine) Embedded() bool { return e.config.Address == "" }

// Client talks to containerd. Its default namespace is Namespace, whatever
// context a call is given. It is nil before Start.
func (e *Engine) Client() *client.Client { return e.client }

// Context adds the namespace to ctx, for the services of containerd that the
// client hands out.
func (e *Engine) Context(ctx context.Context) context.Context {
	return namespaces.WithNamespace(ctx, Namespace)
}

// Snapshotter is the name of the default snapshotter.
func (e *Engine) Snapshotter() string { return e.config.Snapshotter }

// Runtime is what client.WithRuntime takes for a container of this daemon:
// its shim, by absolute path, with our runc and a runc root of our own, so
// that daemons on one host never meet.
func (e *Engine) Runtime() (name string, opts *options.Options) {
	return e.binaries.shim, &options.Options{
		BinaryName: e.binaries.runc,
		Root:       filepath.Join(e.config.State, "runc"),
	}
}

// Executable is a path of this binary that stays when the binary is replaced,
// for runtime hooks that call it in another role.
func (e *Engine) Executable() string { return e.binaries.self }

// CgroupParent is the cgroup under which this daemon's containers are, as
// runc understands it. It is made from the roots: two daemons with different
// roots never share it.
func (e *Engine) CgroupParent() string { return "/pouchfx/" + e.identity() }

// Failed yields the error with which containerd gave up at run time. A lost
// connection to an external containerd is none: the client reconnects.
func (e *Engine) Failed() <-chan error { return e.failed }

// fail reports the first fatal error.
func (e *Engine) fail(err error) {
	select {
	case e.failed <- err:
	default:
	}
}

// String names the engine in messages.
func (e *Engine) String() string {
	if e.Embedded() {
		return "embedded containerd in " + e.config.Root
	}
	return fmt.Sprintf("containerd at %s", e.config.Address)
}
