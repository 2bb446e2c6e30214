package networks

import (
	"go.uber.org/fx"
	"go.uber.org/zap"

	"github.com/pouchfx/pouchfx/modules/config"
	"github.com/pouchfx/pouchfx/modules/events"
	"github.com/pouchfx/pouchfx/modules/store"
)

// Module provides the networks, as *Service.
var Module = fx.Module("networks", fx.Provide(provide))

func provide(lc fx.Lifecycle, c *config.Config, records *store.Store, bus *events.Bus, log *zap.Logger) *Service {
	s := New(Params{Root: c.DataRoot, ExecRoot: c.ExecRoot, Store: records, Events: bus, Log: log.Named("networks")})
	lc.Append(fx.Hook{OnStart: s.Start, OnStop: s.Stop})
	return s
}
