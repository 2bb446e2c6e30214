package plugintest

import (
	"go.uber.org/dig"
	"go.uber.org/fx"
	"go.uber.org/zap"

	"github.com/pouchfx/pouchfx/app"
	"github.com/pouchfx/pouchfx/modules/api"
	"github.com/pouchfx/pouchfx/modules/containerd"
	"github.com/pouchfx/pouchfx/modules/containers"
	"github.com/pouchfx/pouchfx/modules/cri"
	"github.com/pouchfx/pouchfx/modules/events"
	"github.com/pouchfx/pouchfx/modules/images"
	"github.com/pouchfx/pouchfx/modules/networks"
	"github.com/pouchfx/pouchfx/modules/store"
	"github.com/pouchfx/pouchfx/modules/volumes"
	"github.com/pouchfx/pouchfx/plugins"
)

// construct makes a plugin as a daemon does. The error of an optional one
// comes back, too; a disabled one is nil.
func construct(module *plugins.Provided, settings plugins.Settings, supplied []any) (any, error) {
	var found []*plugins.Registration
	app := fx.New(
		fx.NopLogger,
		fx.Supply(fx.Annotate(settings, fx.As(new(plugins.Settings)))),
		fx.Supply(zap.NewNop()),
		fx.Supply(supplied...),
		module,
		fx.Invoke(func(
			api plugins.APIRegistrations, container plugins.ContainerRegistrations, cri plugins.CriRegistrations,
			daemon plugins.DaemonRegistrations, image plugins.ImageRegistrations, volume plugins.VolumeRegistrations,
		) {
			for _, all := range [][]*plugins.Registration{api.All, container.All, cri.All, daemon.All, image.All, volume.All} {
				found = append(found, all...)
			}
		}),
	)
	if err := app.Err(); err != nil {
		return nil, dig.RootCause(err)
	}
	return found[0].Plugin, found[0].Err
}

// target is the daemon of Daemon.
func target(list []*plugins.Provided) app.Target {
	return app.Target{
		Name: "plugintest",
		Modules: []fx.Option{
			containerd.Module, store.Module, events.Module, images.Module, volumes.Module, networks.Module, containers.Module,
			api.Module, cri.Module,
		},
		Plugins: list,
		Root:    func(*api.Server, *cri.Endpoint) {},
	}
}
