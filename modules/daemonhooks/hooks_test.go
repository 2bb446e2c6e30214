package daemonhooks_test

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/zap"

	"github.com/pouchfx/pouchfx/modules/daemonhooks"
	"github.com/pouchfx/pouchfx/modules/lifecycle"
	"github.com/pouchfx/pouchfx/modules/registry"
	"github.com/pouchfx/pouchfx/plugins"
)

// What the hooks do in a daemon that starts and stops, or fails to, is tested
// with real processes in package app.

type helper struct {
	err     error
	stopped int
}

func (h *helper) PreStartHook() error { return h.err }
func (h *helper) PreStopHook() error  { h.stopped++; return nil }

func hooksOf(t *testing.T, h *helper) *daemonhooks.Hooks {
	t.Helper()
	roster, err := registry.NewRoster(nil, nil, zap.NewNop())
	require.NoError(t, err)
	daemons, err := registry.NewDaemons(roster, []*plugins.Registration{{
		Name: "helper", Kinds: []plugins.Kind{plugins.KindDaemon}, Policy: plugins.DefaultPolicy(), Plugin: h,
	}})
	require.NoError(t, err)
	hooks := daemonhooks.New(daemons)
	require.Len(t, hooks, 1)
	return hooks[0]
}

func TestPreStopHookIsNotCalledUnlessPreStartHookWasTried(t *testing.T) {
	h := &helper{}
	require.NoError(t, hooksOf(t, h).Stop(t.Context()))
	assert.Zero(t, h.stopped)
}

func TestPreStopHookIsCalledAfterAFailedPreStartHook(t *testing.T) {
	h := &helper{err: errors.New("refused")}
	hooks := hooksOf(t, h)
	require.EqualError(t, hooks.Start(t.Context()), `plugin "helper": PreStartHook: refused`)
	require.NoError(t, hooks.Stop(t.Context()))
	assert.Equal(t, 1, h.stopped)
}

func TestTheHooksNameTheirPluginOnTheTimeline(t *testing.T) {
	hooks, name := hooksOf(t, &helper{}), new(lifecycle.Name)
	ctx := lifecycle.WithLabel(t.Context(), name)
	require.NoError(t, hooks.Start(ctx))
	assert.Equal(t, "plugin helper PreStartHook", name.Get())
	require.NoError(t, hooks.Stop(ctx))
	assert.Equal(t, "plugin helper PreStopHook", name.Get())
}
