// Command plugin-daemon is the daemon with two plugins of every kind that
// misbehave when a test asks them to. It is also the shortest daemon with
// plugins of one's own.
package main

import (
	"context"
	"fmt"
	"os"

	"github.com/spf13/pflag"
	"go.uber.org/fx"

	"github.com/pouchfx/pouchfx/app"
	"github.com/pouchfx/pouchfx/modules/admin"
	"github.com/pouchfx/pouchfx/modules/api"
	"github.com/pouchfx/pouchfx/modules/config"
	"github.com/pouchfx/pouchfx/modules/containerd"
	"github.com/pouchfx/pouchfx/modules/containers"
	"github.com/pouchfx/pouchfx/modules/containers/role"
	"github.com/pouchfx/pouchfx/modules/cri"
	"github.com/pouchfx/pouchfx/modules/events"
	"github.com/pouchfx/pouchfx/modules/images"
	"github.com/pouchfx/pouchfx/modules/networks"
	"github.com/pouchfx/pouchfx/modules/store"
	"github.com/pouchfx/pouchfx/modules/telemetry/otlp"
	"github.com/pouchfx/pouchfx/modules/volumes"
	"github.com/pouchfx/pouchfx/plugins"
)

func main() {
	if status, played := role.Play(); played {
		os.Exit(status)
	}
	flags := pflag.NewFlagSet("plugin-daemon", pflag.ContinueOnError)
	file := flags.String("config-file", "", "the configuration file")
	config.AddFlags(flags)
	err := flags.Parse(os.Args[2:])
	var c *config.Config
	if err == nil {
		c, err = config.Load(*file, os.Environ(), flags)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
	os.Exit(app.Run(context.Background(), target, c))
}

var target = app.Target{
	Name: "plugin-daemon",
	Modules: []fx.Option{
		containerd.Module, store.Module, events.Module, images.Module, volumes.Module, networks.Module, containers.Module, api.Module, cri.Module, admin.Module, otlp.Module,
	},
	Plugins: []*plugins.Provided{
		plugins.Provide("moody", newMoody("moody"), plugins.Defaults(Config{})),
		plugins.Provide("second", newMoody("second"), plugins.Defaults(Config{})),
	},
	Root: func(*api.Server, *cri.Endpoint, *admin.Server) {},
}
