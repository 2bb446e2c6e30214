package volumes

import (
	"path/filepath"

	"go.uber.org/fx"
	"go.uber.org/zap"

	"github.com/pouchfx/pouchfx/modules/config"
	"github.com/pouchfx/pouchfx/modules/events"
	"github.com/pouchfx/pouchfx/modules/store"
	"github.com/pouchfx/pouchfx/plugins"
)

// Module provides the volumes, as *Service.
var Module = fx.Module("volumes", fx.Provide(provide))

// Params are what the volumes need.
type Params struct {
	fx.In
	Lifecycle fx.Lifecycle
	Config    *config.Config
	Store     *store.Store
	Hooks     plugins.VolumePlugin
	Events    *events.Bus
	Log       *zap.Logger
}

func provide(p Params) *Service {
	s := New(filepath.Join(p.Config.DataRoot, "volumes"), p.Store, p.Hooks, p.Events, p.Log.Named("volumes"))
	p.Lifecycle.Append(fx.Hook{OnStart: s.Start, OnStop: s.Stop})
	return s
}
