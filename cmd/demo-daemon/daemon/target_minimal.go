//go:build minimal && !kube

package daemon

import (
	"github.com/spf13/cobra"
	"go.uber.org/fx"

	"github.com/pouchfx/pouchfx/app"
	"github.com/pouchfx/pouchfx/modules/api"
	"github.com/pouchfx/pouchfx/modules/containerd"
	"github.com/pouchfx/pouchfx/modules/containers"
	"github.com/pouchfx/pouchfx/modules/events"
	"github.com/pouchfx/pouchfx/modules/images"
	"github.com/pouchfx/pouchfx/modules/networks"
	"github.com/pouchfx/pouchfx/modules/store"
	"github.com/pouchfx/pouchfx/modules/volumes"
)

// targets has the one daemon that this binary can be: Docker's API and no
// plugins.
var targets = []app.Target{{
	Name: "minimal",
	Modules: []fx.Option{
		containerd.Module,
		store.Module,
		events.Module,
		images.Module,
		volumes.Module,
		networks.Module,
		containers.Module,
		api.Module,
	},
	Root: func(*api.Server) {},
}}

func moreCommands() []*cobra.Command { return nil }
