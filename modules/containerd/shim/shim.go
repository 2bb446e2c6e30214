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
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	bootstrap "github.com/containerd/containerd/api/runtime/bootstrap/v1"
	"github.com/containerd/containerd/api/types"
	"github.com/containerd/containerd/v2/cmd/containerd-shim-runc-v2/manager"
	"github.com/containerd/containerd/v2/pkg/shim"
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

// Run is the shim's life: that of the process that stays, or one of the short
// actions that containerd asks of a shim. It exits the process on failure.
func Run() {
	keepEnvironment()
	_ = os.Setenv(role, "shim")
	s, stays := parseServer(os.Args[1:])
	if !stays {
		shim.RunShim(context.Background(), declaring{manager.NewShimManager(Runtime)})
		return
	}
	if err := s.run(); err != nil {
		fmt.Fprintf(os.Stderr, "%s: %s\n", Runtime, err)
		os.Exit(1)
	}
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
