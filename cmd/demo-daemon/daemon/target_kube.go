//go:build kube

package daemon

import (
	"github.com/spf13/cobra"
	"go.uber.org/fx"

	"github.com/pouchfx/pouchfx/app"
	"github.com/pouchfx/pouchfx/modules/admin"
	"github.com/pouchfx/pouchfx/modules/containerd"
	"github.com/pouchfx/pouchfx/modules/cri"
	"github.com/pouchfx/pouchfx/modules/telemetry/otlp"
	"github.com/pouchfx/pouchfx/plugins"
	"github.com/pouchfx/pouchfx/plugins/ocihooks"
	"github.com/pouchfx/pouchfx/plugins/podpolicy"
	"github.com/pouchfx/pouchfx/plugins/sidecars"
	"github.com/pouchfx/pouchfx/plugins/snapshotters"
)

// targets has the one daemon that this binary can be: the container runtime of
// a Kubernetes node, without Docker's API.
var targets = []app.Target{{
	Name: "kube",
	Modules: []fx.Option{
		cri.Always,
		containerd.Module,
		cri.Module,
		admin.Module,
		otlp.Module,
	},
	Plugins: []*plugins.Provided{
		ocihooks.Module,
		podpolicy.Module,
		sidecars.Module,
		snapshotters.Module,
	},
	Root: func(*cri.Endpoint, *admin.Server) {},
}}

func moreCommands() []*cobra.Command { return nil }
