package containerd

import (
	"go.uber.org/fx"
	"go.uber.org/zap"

	"github.com/pouchfx/pouchfx/modules/config"
	"github.com/pouchfx/pouchfx/modules/lifecycle"
)

// Module provides the engine.
var Module = fx.Module("containerd", fx.Provide(provide))

func provide(lc fx.Lifecycle, c *config.Config, fatal lifecycle.Fatal, log *zap.Logger) *Engine {
	e := New(Config{
		Root:        c.DataRoot,
		State:       c.ExecRoot,
		Address:     c.Containerd,
		Snapshotter: c.Snapshotter,
	}, log.Named("containerd"))
	watch := lifecycle.NewWatch(e.Failed(), fatal)
	lc.Append(fx.Hook{OnStart: e.Start, OnStop: e.Stop})
	lc.Append(fx.Hook{OnStart: watch.Start, OnStop: watch.Stop})
	return e
}
