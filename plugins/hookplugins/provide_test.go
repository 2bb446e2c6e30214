package hookplugins_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/fx"
	"go.uber.org/zap"

	"github.com/pouchfx/pouchfx/plugins"
	"github.com/pouchfx/pouchfx/plugins/hookplugins"
)

type defaults struct{ plugins.Settings }

func (defaults) Plugin(string, *plugins.Policy, any) error { return nil }

// As the last part of docs/migrating.md has it.
var module = plugins.Provide("limits", func(*zap.Logger) (plugins.ContainerPlugin, error) {
	return hookplugins.Container(&first{})
})

func TestAnOldPluginCanBeProvided(t *testing.T) {
	var got plugins.ContainerRegistrations
	app := fx.New(module, fx.NopLogger, fx.Supply(zap.NewNop(), fx.Annotate(defaults{}, fx.As(new(plugins.Settings)))),
		fx.Invoke(func(all plugins.ContainerRegistrations) { got = all }))
	require.NoError(t, app.Err())
	require.Len(t, got.All, 1)
	assert.Equal(t, "limits", got.All[0].Name)
	assert.Equal(t, []plugins.Kind{plugins.KindContainer}, got.All[0].Kinds)
	assert.Implements(t, (*plugins.ContainerPlugin)(nil), got.All[0].Plugin)
}
