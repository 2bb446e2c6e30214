// Package shim is the shim of one container: the small process between the
// engine and runc that stays when the daemon goes.
//
// The daemon's binary carries a program that is this package and nothing else,
// as there is one of it for every container. A binary without it plays the part
// itself: the engine makes a link to it that is named like the stock shim, and
// main asks Requested before it looks at flags or configuration.
package shim

import (
	"context"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	bootstrap "github.com/containerd/containerd/api/runtime/bootstrap/v1"
	"github.com/containerd/containerd/api/types"
	"github.com/containerd/containerd/v2/cmd/containerd-shim-runc-v2/manager"
	"github.com/containerd/containerd/v2/cmd/containerd-shim-runc-v2/task"
	"github.com/containerd/containerd/v2/pkg/shim"
	"github.com/containerd/containerd/v2/pkg/shutdown"
	"github.com/containerd/containerd/v2/plugins"
	"github.com/containerd/plugin"
	"github.com/containerd/plugin/registry"
)

const (
	// Name is the file name under which the binary is a shim.
	Name = "containerd-shim-runc-v2"
	// Runtime is what containerd calls this kind of shim.
	Runtime = "io.containerd.runc.v2"

	role = "POUCHFX_ROLE"
)

// Requested tells whether this process was started as a shim: by its name, or,
// where the shim executes itself once more and the name is lost, by its
// environment.
func Requested() bool {
	return filepath.Base(os.Args[0]) == Name ||
		(os.Getenv(role) == "shim" && len(os.Args) > 1 && os.Args[1] == "-namespace")
}

// Run is the shim's life. It exits the process on failure.
func Run() {
	keepEnvironment()
	_ = os.Setenv(role, "shim")
	// Go keeps memory for each of its processors, of which containerd asks for
	// four, and a shim hardly ever has two things to do at once.
	runtime.GOMAXPROCS(1)
	// The shim starts every registered plugin, and the daemon's are there too.
	registry.Reset()
	registry.Register(&plugin.Registration{
		Type:     plugins.TTRPCPlugin,
		ID:       "task",
		Requires: []plugin.Type{plugins.EventPlugin, plugins.InternalPlugin},
		InitFn:   newTaskService,
	})
	shim.RunShim(context.Background(), declaring{manager.NewShimManager(Runtime)})
}

// declaring is a shim that says when it starts which mounts it takes upon
// itself: none. Of one that says nothing containerd asks, by executing it once
// more for every container.
type declaring struct{ shim.Shim }

func (d declaring) Start(ctx context.Context, p *bootstrap.BootstrapParams) (*bootstrap.BootstrapResult, error) {
	r, err := d.Shim.Start(ctx, p)
	if err != nil {
		return nil, err
	}
	return r, r.AddExtension(&types.MountCapabilities{})
}

func newTaskService(ic *plugin.InitContext) (any, error) {
	publisher, err := ic.GetByID(plugins.EventPlugin, "publisher")
	if err != nil {
		return nil, err
	}
	stop, err := ic.GetByID(plugins.InternalPlugin, "shutdown")
	if err != nil {
		return nil, err
	}
	// The shim's own context ends with an error of its own, which containerd's
	// watcher of cgroup v1 takes for a failure and logs in a busy loop.
	ctx, cancel := context.WithCancel(context.WithoutCancel(ic.Context))
	context.AfterFunc(ic.Context, cancel)
	service, err := task.NewTaskService(ctx, publisher.(shim.Publisher), stop.(shutdown.Service))
	if err != nil {
		return nil, err
	}
	return newHolding(service), nil
}

// kept are the variables that a shim, runc and runtime hooks need. containerd
// hands its whole environment down, and the daemon's may hold secrets.
var kept = []string{
	"PATH", "HOME", "TMPDIR", "XDG_RUNTIME_DIR", "LD_LIBRARY_PATH",
	"GOMAXPROCS", "GODEBUG", "GOTRACEBACK", "GOCOVERDIR", "SCHED_CORE",
	"TTRPC_ADDRESS", "GRPC_ADDRESS", "NAMESPACE", "MAX_SHIM_VERSION",
}

func keepEnvironment() {
	for _, v := range os.Environ() {
		if name, _, _ := strings.Cut(v, "="); !slices.Contains(kept, name) {
			_ = os.Unsetenv(name)
		}
	}
}
