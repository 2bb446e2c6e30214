// Command migrated-daemon is a daemon with plugins that were written for
// PouchContainer and register themselves from init. docs/migrating.md says to
// copy this file.
package main

import (
	"context"
	"fmt"
	"os"

	"github.com/spf13/pflag"
	"go.uber.org/fx"

	"github.com/pouchfx/pouchfx/app"
	"github.com/pouchfx/pouchfx/modules/api"
	"github.com/pouchfx/pouchfx/modules/config"
	"github.com/pouchfx/pouchfx/modules/containerd"
	"github.com/pouchfx/pouchfx/modules/containers"
	"github.com/pouchfx/pouchfx/modules/containers/role"
	"github.com/pouchfx/pouchfx/modules/events"
	"github.com/pouchfx/pouchfx/modules/images"
	"github.com/pouchfx/pouchfx/modules/networks"
	"github.com/pouchfx/pouchfx/modules/store"
	"github.com/pouchfx/pouchfx/modules/volumes"

	_ "github.com/pouchfx/pouchfx/examples/migrated/apiplugin"
	_ "github.com/pouchfx/pouchfx/examples/migrated/containerplugin"
	_ "github.com/pouchfx/pouchfx/examples/migrated/hostplugin"
)

func main() {
	if status, played := role.Play(); played { // a shim, or a hook of a container
		os.Exit(status)
	}
	flags := pflag.NewFlagSet("migrated-daemon", pflag.ContinueOnError)
	file := flags.String("config-file", "", "the configuration file")
	config.AddFlags(flags)
	err := flags.Parse(os.Args[2:]) // after "serve"
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
	Name: "migrated-daemon",
	Modules: []fx.Option{
		containerd.Module, store.Module, events.Module, images.Module, volumes.Module, networks.Module, containers.Module, api.Module,
	},
	Root: func(*api.Server) {},
}
