package app

import (
	"slices"
	"time"

	"go.uber.org/fx"
	"go.uber.org/zap"

	"github.com/pouchfx/pouchfx/modules/config"
	"github.com/pouchfx/pouchfx/modules/daemonhooks"
	"github.com/pouchfx/pouchfx/modules/lifecycle"
	"github.com/pouchfx/pouchfx/modules/registry"
	"github.com/pouchfx/pouchfx/modules/telemetry"
	"github.com/pouchfx/pouchfx/plugins"
)

// Target is a daemon to be built: what it can do and who changes it.
type Target struct {
	// Name is the target's, "default" or "minimal".
	Name string
	// Modules are those of the engine and its front ends, in reading order.
	// They start after the daemon plugins and stop before them. What every
	// daemon has (configuration, log, telemetry, registry, daemon hooks) is not
	// among them.
	Modules []fx.Option
	// Plugins change what the modules do.
	Plugins []*plugins.Provided
	// Root is a function whose parameters are what the daemon is there for,
	// such as func(*api.Server) {}; all they need is constructed.
	Root any
}

// order returns all plugins in their order, without constructing any. What is
// wrong with a plugin itself is told when that is constructed.
func (t Target) order(c *config.Config, log *zap.Logger) (registry.Ordered, error) {
	all, _ := settled(t, c)
	for _, err := range registry.Unknown(all) {
		log.Warn("the order of plugins names one that is not there", zap.Error(err))
	}
	return registry.Order(all)
}

// slowestDaemonPlugin returns how long the lifecycle must wait for the slowest
// daemon plugin, so that its own timeout decides about its hooks; 0 without one.
func (t Target) slowestDaemonPlugin(settings plugins.Settings) (longest time.Duration) {
	for _, p := range t.daemonPlugins() {
		if policy, err := p.Settle(settings); err == nil && policy.Enabled {
			longest = max(longest, policy.Timeout+grace)
		}
	}
	for _, r := range plugins.Registered() {
		if r.Is(plugins.KindDaemon) && registry.Settle(&r, settings) == nil {
			longest = max(longest, r.Policy.Timeout+grace)
		}
	}
	return longest
}

// daemonPlugins returns the provided plugins that are of kind daemon.
func (t Target) daemonPlugins() []*plugins.Provided {
	return slices.DeleteFunc(slices.Clone(t.Plugins), func(p *plugins.Provided) bool {
		return !slices.Contains(p.Kinds, plugins.KindDaemon)
	})
}

// environment is what the parts of every daemon get from app.
type environment struct {
	config   *config.Config
	order    registry.Ordered
	log      *zap.Logger
	timeline *lifecycle.Timeline
	fatal    lifecycle.Fatal
}

// base returns the modules of every daemon and the given plugins.
func (e environment) base(list []*plugins.Provided) fx.Option {
	options := []fx.Option{
		config.Supply(e.config),
		fx.Supply(e.log, e.timeline, e.fatal, e.order),
		telemetry.Module,
		registry.Module,
		daemonhooks.Module,
	}
	for _, p := range list {
		options = append(options, p)
	}
	return fx.Options(options...)
}

// engine returns the target's modules behind the gate.
func (t Target) engine() fx.Option {
	return fx.Module("engine", daemonhooks.Gate, fx.Options(t.Modules...))
}

// invoke asks for the daemon: first for the daemon plugins, which are there
// even where no module needs them, and for metrics of its own address where
// the configuration has one.
func (t Target) invoke(c *config.Config) fx.Option {
	roots := []any{func(daemonhooks.Started) {}}
	if c.MetricsAddr != "" { // before the doors, which it watches
		roots = append(roots, func(*telemetry.Server) {})
	}
	if t.Root != nil {
		roots = append(roots, t.Root)
	}
	return fx.Invoke(roots...)
}
