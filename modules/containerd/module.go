package containerd

import (
	"go.uber.org/fx"
	"go.uber.org/zap"

	"github.com/pouchfx/pouchfx/modules/config"
)

// Module provides the engine.
var Module = fx.Module("containerd", fx.Provide(provide))

func provide(lc fx.Lifecycle, c *config.Config, log *zap.Logger) *Engine {
	e := New(Config{
		Root:        c.DataRoot,
		State:       c.ExecRoot,
		Address:     c.Containerd,
		Snapshotter: c.Snapshotter,
	}, log.Named("containerd"))
	lc.Append(fx.Hook{OnStart: e.Start, OnStop: e.Stop})
	return e
}
