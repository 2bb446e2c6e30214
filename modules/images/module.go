package images

import (
	"go.uber.org/fx"
	"go.uber.org/zap"

	"github.com/pouchfx/pouchfx/modules/config"
	"github.com/pouchfx/pouchfx/modules/containerd"
	"github.com/pouchfx/pouchfx/modules/events"
	"github.com/pouchfx/pouchfx/plugins"
)

// Module provides the images.
var Module = fx.Module("images", fx.Provide(provide))

func provide(lc fx.Lifecycle, e *containerd.Engine, hooks plugins.ImagePlugin, bus *events.Bus, c *config.Config, log *zap.Logger) *Service {
	s := New(e, hooks, bus, log.Named("images"), Config{InsecureRegistries: c.InsecureRegistries})
	lc.Append(fx.Hook{OnStart: s.Start})
	return s
}
