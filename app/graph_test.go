package app_test

import (
	"regexp"
	"testing"

	"github.com/containerd/errdefs"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/fx"

	"github.com/pouchfx/pouchfx/app"
	"github.com/pouchfx/pouchfx/modules/config"
	"github.com/pouchfx/pouchfx/plugins"
)

func graphTarget(t *testing.T) app.Target {
	return app.Target{
		Modules: []fx.Option{fx.Module("engine", fx.Provide(newThing))},
		Plugins: []*plugins.Provided{
			plugins.Provide("first", neverConstruct[struct{}](t)), plugins.Provide("second", neverConstruct[*thing](t)),
		},
	}
}

type thing struct{}

func newThing(fx.Lifecycle) *thing { panic("constructed") }

func TestGraphNamesPluginsAndModules(t *testing.T) {
	c := config.Default()
	dot, err := app.Graph(graphTarget(t), &c, "dot")
	require.NoError(t, err)
	assert.Contains(t, dot, `label="first"`)
	assert.Contains(t, dot, `label="second"`)
	assert.Contains(t, dot, `label="newThing"`)
}

func TestGraphDrawsWhoNeedsWhomInMermaid(t *testing.T) {
	c := config.Default()
	drawing, err := app.Graph(graphTarget(t), &c, "mermaid")
	require.NoError(t, err)
	id := func(name string) string {
		m := regexp.MustCompile(`(c\d+)\["` + regexp.QuoteMeta(name) + `"\]`).FindStringSubmatch(drawing)
		require.NotNil(t, m, "%s is not in\n%s", name, drawing)
		return m[1]
	}
	for from, to := range map[string]string{
		"plugin.second":              "app_test.newThing",
		"app_test.newThing":          "fx.New.func1",
		"registry.provideContainers": "plugin.first",
		"registry.provideRegistry":   "plugin.second",
		"registry.provideRoster":     "value.*zap.Logger",
	} {
		assert.Contains(t, drawing, id(from)+" --> "+id(to)+"\n")
	}
}

func TestGraphReportsWhatCannotBeDrawn(t *testing.T) {
	c := config.Default()
	_, err := app.Graph(graphTarget(t), &c, "png")
	assert.True(t, errdefs.IsInvalidArgument(err))
	broken := graphTarget(t)
	broken.Plugins = append(broken.Plugins, plugins.Provide("odd", func(struct{}) (int, error) { return 0, nil }))
	_, err = app.Graph(broken, &c, "dot")
	assert.ErrorContains(t, err, `plugin "odd"`)
}
