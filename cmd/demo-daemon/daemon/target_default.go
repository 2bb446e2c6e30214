//go:build !minimal && !kube

package daemon

import (
	"errors"
	"os/exec"

	"github.com/spf13/cobra"
	"go.uber.org/fx"

	"github.com/pouchfx/pouchfx/app"
	"github.com/pouchfx/pouchfx/cmd/demo-daemon/demo"
	"github.com/pouchfx/pouchfx/examples/plugins/diary"
	"github.com/pouchfx/pouchfx/examples/plugins/limits"
	"github.com/pouchfx/pouchfx/examples/plugins/pulls"
	"github.com/pouchfx/pouchfx/examples/plugins/stamp"
	"github.com/pouchfx/pouchfx/examples/plugins/tenants"
	"github.com/pouchfx/pouchfx/examples/plugins/uplink"
	"github.com/pouchfx/pouchfx/examples/plugins/volumelabels"
	"github.com/pouchfx/pouchfx/modules/api"
	"github.com/pouchfx/pouchfx/modules/containerd"
	"github.com/pouchfx/pouchfx/modules/containers"
	"github.com/pouchfx/pouchfx/modules/cri"
	"github.com/pouchfx/pouchfx/modules/events"
	"github.com/pouchfx/pouchfx/modules/images"
	"github.com/pouchfx/pouchfx/modules/networks"
	"github.com/pouchfx/pouchfx/modules/store"
	"github.com/pouchfx/pouchfx/modules/telemetry/otlp"
	"github.com/pouchfx/pouchfx/modules/volumes"
	"github.com/pouchfx/pouchfx/plugins"
	"github.com/pouchfx/pouchfx/plugins/apiguard"
	"github.com/pouchfx/pouchfx/plugins/endpoints"
	"github.com/pouchfx/pouchfx/plugins/envlimits"
	"github.com/pouchfx/pouchfx/plugins/nri"
	"github.com/pouchfx/pouchfx/plugins/ocihooks"
	"github.com/pouchfx/pouchfx/plugins/podpolicy"
	"github.com/pouchfx/pouchfx/plugins/sidecars"
	"github.com/pouchfx/pouchfx/plugins/snapshotters"
	"github.com/pouchfx/pouchfx/plugins/updatebridge"
	"github.com/pouchfx/pouchfx/plugins/volumedefaults"
)

var modules = []fx.Option{
	containerd.Module,
	store.Module,
	events.Module,
	images.Module,
	volumes.Module,
	networks.Module,
	containers.Module,
	api.Module,
	cri.Module,
	otlp.Module,
}

// shipped are plugins that do nothing unless they are configured.
var shipped = []*plugins.Provided{
	apiguard.Module,
	endpoints.Module,
	envlimits.Module,
	nri.Module,
	ocihooks.Module,
	podpolicy.Module,
	sidecars.Module,
	snapshotters.Module,
	updatebridge.Module,
	volumedefaults.Module,
}

// targets are the daemons that this binary can be; the first is the one that
// nobody asked for.
var targets = []app.Target{
	{
		Name:    "default",
		Modules: modules,
		Plugins: shipped,
		Root:    func(*api.Server, *cri.Endpoint) {},
	},
	{
		Name:    "demo",
		Modules: modules,
		Plugins: []*plugins.Provided{
			diary.Module,
			limits.Module,
			pulls.Module,
			stamp.Module,
			tenants.Module,
			uplink.Module,
			volumelabels.Module,
		},
		Root: func(*api.Server, *cri.Endpoint) {},
	},
}

func moreCommands() []*cobra.Command {
	return []*cobra.Command{pluginCommand(), {
		Use:   "demo",
		Short: "Show on a real container what plugins do, and prove it",
		Args:  cobra.NoArgs,
		RunE: does(func(cmd *cobra.Command) error {
			err := demo.Run(cmd.Context(), cmd.OutOrStdout())
			if told := (*exec.ExitError)(nil); errors.As(err, &told) { // the process with the story has told why
				return exitStatus(max(1, told.ExitCode()))
			}
			return err
		}),
	}}
}
