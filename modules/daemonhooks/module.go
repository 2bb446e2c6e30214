// Package daemonhooks binds the hooks of daemon plugins to the daemon's
// lifecycle, and puts the engine behind them: Gate lets no module of the
// engine start before every PreStartHook has been called, and none outlive the
// first PreStopHook.
package daemonhooks

import (
	"go.uber.org/fx"

	"github.com/pouchfx/pouchfx/modules/registry"
)

// Started is the token that the hooks of all daemon plugins are on the
// lifecycle: what asks for it is started after them and stopped before.
type Started struct{}

// Module provides Started.
var Module = fx.Module("daemonhooks", fx.Provide(provideStarted))

// provideStarted appends one pair of hooks per daemon plugin. The stop comes
// before the start, so that fx, which does not stop what failed to start,
// stops every plugin whose start was tried.
func provideStarted(lc fx.Lifecycle, daemons registry.Daemons) Started {
	for _, h := range New(daemons) {
		lc.Append(fx.Hook{OnStop: h.Stop})
		lc.Append(fx.Hook{OnStart: h.Start})
	}
	return Started{}
}

// Gate, among the options of a module, gates all it provides: whatever can
// append a hook asks for fx.Lifecycle, and asking for it asks for Started.
var Gate = fx.Decorate(gate)

func gate(lc fx.Lifecycle, _ Started) fx.Lifecycle { return lc }
