package registry_test

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/zap"

	"github.com/pouchfx/pouchfx/modules/registry"
	"github.com/pouchfx/pouchfx/plugins"
)

func TestTwoPluginsOfOneNameAreRefused(t *testing.T) {
	a, b := reg("same", &plugin{}), reg("same", &plugin{}, priority(5))
	a.Origin, b.Origin = "one.New", "two.New"
	for _, regs := range [][]*plugins.Registration{{a, b}, {b, a}} {
		_, err := registry.NewContainers(newRoster(t), regs)
		assert.EqualError(t, err, `two plugins are named "same": one.New and two.New: rename one`)
	}
}

func TestTwoPluginsOfOneNameAndDifferentKindsAreRefused(t *testing.T) {
	roster := newRoster(t)
	_, err := registry.NewContainers(roster, []*plugins.Registration{reg("same", &plugin{})})
	require.NoError(t, err)
	_, err = registry.NewVolumes(roster, []*plugins.Registration{reg("same", &plugin{})})
	assert.ErrorContains(t, err, `two plugins are named "same"`)
}

func TestARegisteredPluginJoinsTheChainWithItsPolicyFromTheSettings(t *testing.T) {
	registered := []plugins.Registration{*reg("pkg.Late", appends("late")), *reg("pkg.Off", appends("off"))}
	roster, err := registry.NewRoster(settings{
		"pkg.Late": priority(-1),
		"pkg.Off":  func(p *plugins.Policy) { p.Enabled = false },
	}, registered, zap.NewNop())
	require.NoError(t, err)
	c, err := registry.NewContainers(roster, []*plugins.Registration{reg("x", appends("x"))})
	require.NoError(t, err)
	config := createConfig()
	require.NoError(t, c.PreCreate(t.Context(), config))
	assert.Equal(t, []string{"x", "late"}, config.Env)
}

func TestAPolicyThatCannotBeKeptIsRefused(t *testing.T) {
	_, err := registry.NewRoster(settings{"p": func(p *plugins.Policy) { p.Timeout = 0 }},
		[]plugins.Registration{*reg("p", &plugin{})}, zap.NewNop())
	assert.ErrorContains(t, err, `plugin "p": timeout 0s`)
}

func TestTheRegistryListsAllInOrderWithTheirStatus(t *testing.T) {
	off, broken := reg("off", nil, func(p *plugins.Policy) { p.Enabled = false }), reg("broken", nil, optional)
	broken.Err = errors.New("no disk")
	roster := newRoster(t)
	all := []*plugins.Registration{off, broken, reg("on", &plugin{}, priority(1))}
	r, err := registry.New(roster, map[plugins.Kind][]*plugins.Registration{
		plugins.KindContainer: all, plugins.KindAPI: all, plugins.KindVolume: all,
	})
	require.NoError(t, err)
	list := r.List()
	require.Len(t, list, 3)
	assert.Equal(t, "on", list[0].Name)
	assert.Equal(t, registry.Running, list[0].Status)
	assert.Equal(t, all[2].Kinds, list[0].Kinds)
	assert.Equal(t, "origin of on", list[0].Origin)
	assert.Equal(t, "broken", list[1].Name)
	assert.Equal(t, registry.Failed, list[1].Status)
	assert.Equal(t, "no disk", list[1].Error)
	assert.Equal(t, registry.Disabled, list[2].Status)
}

func TestAPluginOfAnotherKindThanItSaysIsRefused(t *testing.T) {
	_, err := registry.NewContainers(newRoster(t), []*plugins.Registration{reg("p", "not a plugin")})
	assert.EqualError(t, err, `plugin "p": string is not of kind container`)
}

// helper is a daemon plugin that also takes part in creates.
type helper struct {
	*plugin
	start, stop func() error
}

func (h helper) PreStartHook() error { return h.start() }
func (h helper) PreStopHook() error  { return h.stop() }

func TestAnOptionalPluginThatFailsToStartIsCalledNoMore(t *testing.T) {
	roster, logs := observed(t)
	stopped := false
	both := reg("helper", helper{
		plugin: appends("helper"),
		start:  func() error { return errors.New("no socket") },
		stop:   func() error { stopped = true; return nil },
	}, optional)
	both.Kinds = []plugins.Kind{plugins.KindContainer, plugins.KindDaemon}
	regs := []*plugins.Registration{both}
	daemons, err := registry.NewDaemons(roster, regs)
	require.NoError(t, err)
	c, err := registry.NewContainers(roster, regs)
	require.NoError(t, err)

	require.NoError(t, daemons[0].PreStart(t.Context()))
	assert.Equal(t, 1, logs.FilterMessage("optional plugin failed: running degraded").Len())
	config := createConfig()
	require.NoError(t, c.PreCreate(t.Context(), config))
	assert.Empty(t, config.Env)

	r, err := registry.New(roster, map[plugins.Kind][]*plugins.Registration{plugins.KindDaemon: regs})
	require.NoError(t, err)
	assert.Equal(t, registry.Failed, r.List()[0].Status)
	assert.Equal(t, `plugin "helper": PreStartHook: no socket`, r.List()[0].Error)
	require.NoError(t, daemons[0].PreStop(t.Context()))
	assert.True(t, stopped, "what a failed start left is still stopped")
}

func TestARequiredPluginThatFailsToStartIsAnError(t *testing.T) {
	required := reg("helper", helper{start: func() error { panic("boom") }})
	required.Kinds = []plugins.Kind{plugins.KindDaemon}
	daemons, err := registry.NewDaemons(newRoster(t), []*plugins.Registration{required})
	require.NoError(t, err)
	assert.EqualError(t, daemons[0].PreStart(t.Context()), `plugin "helper": PreStartHook: panic: boom`)
}
