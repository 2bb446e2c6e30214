package plugintest

import (
	"go.uber.org/dig"
	"go.uber.org/fx"
	"go.uber.org/zap"

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
