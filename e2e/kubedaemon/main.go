// Command kube-daemon is a node's container runtime with a plugin that does to
// pods what their annotations ask for. It is also the shortest one with a
// plugin of one's own.
package main

import (
	"context"
	"fmt"
	"os"

	"github.com/spf13/pflag"
	"go.uber.org/fx"

	"github.com/pouchfx/pouchfx/app"
	"github.com/pouchfx/pouchfx/modules/admin"
	"github.com/pouchfx/pouchfx/modules/config"
	"github.com/pouchfx/pouchfx/modules/containerd"
	"github.com/pouchfx/pouchfx/modules/containers/role"
	"github.com/pouchfx/pouchfx/modules/cri"
	"github.com/pouchfx/pouchfx/plugins"
)

func main() {
	if status, played := role.Play(); played {
		os.Exit(status)
	}
	flags := pflag.NewFlagSet("kube-daemon", pflag.ContinueOnError)
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
	Name:    "kube-daemon",
	Modules: []fx.Option{cri.Always, containerd.Module, cri.Module, admin.Module},
	Plugins: []*plugins.Provided{plugins.Provide("obliging", newObliging)},
	Root:    func(*cri.Endpoint, *admin.Server) {},
}
