package store

import (
	"path/filepath"

	"go.uber.org/fx"

	"github.com/pouchfx/pouchfx/modules/config"
)

// Module provides the store of the data root.
var Module = fx.Module("store", fx.Provide(provide))

func provide(lc fx.Lifecycle, c *config.Config) *Store {
	s := New(filepath.Join(c.DataRoot, "pouchfx.db"))
	lc.Append(fx.Hook{OnStart: s.Start, OnStop: s.Stop})
	return s
}
