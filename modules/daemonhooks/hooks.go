package daemonhooks

import (
	"context"
	"sync/atomic"

	"github.com/pouchfx/pouchfx/modules/lifecycle"
	"github.com/pouchfx/pouchfx/modules/registry"
)

// Hooks starts and stops one daemon plugin.
type Hooks struct {
	plugin *registry.Daemon
	tried  atomic.Bool
}

// New returns the hooks of daemon plugins, in their order.
func New(daemons registry.Daemons) []*Hooks {
	hooks := make([]*Hooks, len(daemons))
	for i, d := range daemons {
		hooks[i] = &Hooks{plugin: d}
	}
	return hooks
}

// Start calls PreStartHook. The failure of an optional plugin is no error.
func (h *Hooks) Start(ctx context.Context) error {
	lifecycle.Label(ctx, "plugin "+h.plugin.Name()+" PreStartHook")
	h.tried.Store(true)
	return h.plugin.PreStart(ctx)
}

// Stop calls PreStopHook if Start was tried, whatever became of it.
func (h *Hooks) Stop(ctx context.Context) error {
	if !h.tried.Load() {
		return nil
	}
	lifecycle.Label(ctx, "plugin "+h.plugin.Name()+" PreStopHook")
	return h.plugin.PreStop(ctx)
}
