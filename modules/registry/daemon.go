package registry

import (
	"context"

	"go.uber.org/zap"

	"github.com/pouchfx/pouchfx/modules/guard"
	"github.com/pouchfx/pouchfx/plugins"
)

// Daemons are the daemon plugins in their order. They are no chain: the
// daemon's lifecycle calls each by itself.
type Daemons []*Daemon

// Daemon is one daemon plugin, guarded.
type Daemon struct {
	link[plugins.DaemonPlugin]
	roster *Roster
}

// NewDaemons makes the list of daemon plugins.
func NewDaemons(r *Roster, provided []*plugins.Registration) (Daemons, error) {
	c, err := newChain[plugins.DaemonPlugin](r, plugins.KindDaemon, provided)
	if err != nil {
		return nil, err
	}
	daemons := make(Daemons, len(c.links))
	for i, l := range c.links {
		daemons[i] = &Daemon{l, r}
	}
	return daemons, nil
}

// Name is the plugin's name.
func (d *Daemon) Name() string { return d.reg.Name }

// PreStart calls PreStartHook. When it fails the plugin has failed: no hook of
// any of its kinds is called any more, but for PreStopHook. The error of an
// optional plugin is logged and not returned, unless ctx has ended.
func (d *Daemon) PreStart(ctx context.Context) error {
	err := d.call(ctx, "PreStartHook", plugins.DaemonPlugin.PreStartHook)
	if err == nil {
		return nil
	}
	d.fail(err)
	if d.reg.Policy.Required || ctx.Err() != nil {
		return err
	}
	d.roster.log.Error("optional plugin failed: running degraded", zap.String("plugin", d.reg.Name), zap.Error(err))
	return nil
}

// PreStop calls PreStopHook.
func (d *Daemon) PreStop(ctx context.Context) error {
	return d.call(ctx, "PreStopHook", plugins.DaemonPlugin.PreStopHook)
}

func (d *Daemon) call(ctx context.Context, name string, hook func(plugins.DaemonPlugin) error) error {
	ctx, end := d.roster.observer.Begin(ctx, d.reg.Name, name)
	_, err := guard.Call(ctx, guard.Limits{Timeout: d.reg.Policy.Timeout}, d.plugin,
		func(_ context.Context, p plugins.DaemonPlugin) (struct{}, error) { return struct{}{}, hook(p) })
	end(outcomeOf(err), err)
	if err == nil {
		return nil
	}
	d.roster.report(ctx, d.reg, name, err, false)
	return hookError(d.reg, name, err)
}
