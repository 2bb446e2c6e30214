package app_test

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/fx"

	"github.com/pouchfx/pouchfx/app"
	"github.com/pouchfx/pouchfx/modules/config"
	"github.com/pouchfx/pouchfx/modules/registry"
	"github.com/pouchfx/pouchfx/plugins"
)

// idle is a container plugin that does nothing.
type idle struct{ plugins.ContainerBase }

func neverConstruct[P any](t *testing.T) func(P) (*idle, error) {
	return func(P) (*idle, error) {
		t.Error("a constructor ran")
		return nil, nil
	}
}

func configFrom(t *testing.T, yaml string) *config.Config {
	t.Helper()
	file := filepath.Join(t.TempDir(), "config.yaml")
	require.NoError(t, os.WriteFile(file, []byte(yaml), 0o600))
	c, err := config.Load(file, nil, nil)
	require.NoError(t, err)
	return c
}

func TestCheckPrintsTheOrderOfEachChainAndRunsNothing(t *testing.T) {
	c := configFrom(t, "plugins: {b: {policy: {priority: 9, onError: ignore}}, off: {policy: {enabled: false}}}")
	never := neverConstruct[struct{}](t)
	report, err := app.Check(app.Target{
		Name: "small",
		Modules: []fx.Option{fx.Module("engine", fx.Provide(func(fx.Lifecycle, plugins.ContainerPlugin) int {
			t.Error("a constructor ran")
			return 0
		}))},
		Plugins: []*plugins.Provided{
			plugins.Provide("a", never), plugins.Provide("off", never), plugins.Provide("b", never, plugins.Optional()),
			plugin("helper", nil, nil),
		},
		Root: func(int) { t.Error("the root ran") },
	}, c)
	require.NoError(t, err)
	assert.Equal(t, `target small: 4 plugins
container  1.  b       priority 9  timeout 10s  on error ignore  optional
container  2.  a       priority 0  timeout 10s  on error fail    required
daemon     1.  helper  priority 0  timeout 10s  on error fail    required
disabled       off
`, report.String())
	assert.Equal(t, registry.Disabled, report.Plugins[3].Status)
}

type missing struct{}

func TestCheckNamesWhatIsWrong(t *testing.T) {
	type wantsMissing struct {
		plugins.In
		M *missing
	}
	type settings struct{ Limit int }
	fine := plugins.Provide("fine", neverConstruct[struct{}](t))
	for name, test := range map[string]struct {
		target app.Target
		yaml   string
		want   []string
	}{
		"a missing dependency of a plugin": {
			target: app.Target{Plugins: []*plugins.Provided{fine, plugins.Provide("needy", neverConstruct[wantsMissing](t))}},
			want:   []string{`plugin "needy" (`, "check_test.go", "missing type: *app_test.missing"},
		},
		"a missing dependency of a module": {
			target: app.Target{Plugins: []*plugins.Provided{fine}, Root: func(*missing) {}},
			want:   []string{"missing type: *app_test.missing"},
		},
		"a cycle": {
			target: app.Target{Plugins: []*plugins.Provided{fine, plugin("innocent", nil, nil), plugins.Provide("loop", neverConstruct[plugins.ContainerPlugin](t))}},
			want:   []string{`plugin "loop"`, "dependency cycle: plugin loop needs registry.provideContainers needs plugin loop"},
		},
		"two plugins of one name": {
			target: app.Target{Plugins: []*plugins.Provided{fine, fine}},
			want:   []string{`two plugins are named "fine"`},
		},
		"a plugin that is of no kind": {
			target: app.Target{Plugins: []*plugins.Provided{plugins.Provide("odd", func(struct{}) (int, error) { return 0, nil })}},
			want:   []string{`plugin "odd": int implements none of the six plugin interfaces`},
		},
		"an unknown key in a plugin's section": {
			target: app.Target{Plugins: []*plugins.Provided{
				plugins.Provide("limits", neverConstruct[settings](t), plugins.Defaults(settings{}))}},
			yaml: "plugins: {limits: {limmit: 3}}",
			want: []string{`plugin "limits"`, "limmit", "config.yaml:1"},
		},
		"a policy that cannot be kept": {
			target: app.Target{Plugins: []*plugins.Provided{fine}},
			yaml:   "plugins: {fine: {policy: {timeout: 0s}}}",
			want:   []string{`plugin "fine"`, "timeout"},
		},
		"the section of an unknown plugin": {
			target: app.Target{Plugins: []*plugins.Provided{fine}},
			yaml:   "plugins: {fien: {}}",
			want:   []string{`unknown plugin "fien"`, `did you mean "fine"?`},
		},
		"plugins that come before each other": {
			target: app.Target{Plugins: []*plugins.Provided{fine, plugins.Provide("other", neverConstruct[struct{}](t), plugins.Before("fine"))}},
			yaml:   "plugins: {fine: {policy: {before: [other]}}}",
			want:   []string{"each is to come before the next: fine, other, fine", "config.yaml:1"},
		},
		"an order that names nobody": {
			target: app.Target{Plugins: []*plugins.Provided{fine}},
			yaml:   "plugins: {fine: {policy: {after: [fien]}}}",
			want:   []string{`config.yaml:1: plugin "fine": it is to come after "fien", which this daemon does not have`},
		},
		"several mistakes at once": {
			target: app.Target{Plugins: []*plugins.Provided{fine, fine}, Root: func(*missing) {}},
			yaml:   "plugins: {fien: {}}",
			want:   []string{"two plugins", "unknown plugin", "missing type"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := app.Check(test.target, configFrom(t, test.yaml))
			for _, want := range test.want {
				assert.ErrorContains(t, err, want)
			}
			assert.NotContains(t, err.Error(), "innocent")
		})
	}
}

// meddler is a daemon plugin that needs a component of the engine.
type meddler struct{ plugins.DaemonBase }

func newMeddler(*component) (*meddler, error) { return &meddler{}, nil }

func TestADaemonPluginCannotHaveAComponentOfTheEngine(t *testing.T) {
	target := app.Target{
		Modules: []fx.Option{fx.Module("engine", fx.Provide(func(fx.Lifecycle) *component { return &component{} }))},
		Plugins: []*plugins.Provided{plugins.Provide("meddler", newMeddler)},
		Root:    func(*component) {},
	}
	const want = `plugin "meddler" (github.com/pouchfx/pouchfx/app_test.newMeddler`
	c := config.Default()
	_, err := app.Check(target, &c)
	assert.ErrorContains(t, err, want)
	assert.ErrorContains(t, err, "is called before the engine starts and cannot have what the engine provides: missing type: *app_test.component")

	log, logs := observedLog()
	assert.Equal(t, 1, app.Run(context.Background(), target, &c, app.WithLogger(log)))
	require.Equal(t, 1, logs.Len(), "Run refuses it too")
	assert.Contains(t, logs.All()[0].ContextMap()["error"], want)
}

func TestADaemonPluginCannotReachTheEngineByWayOfAChain(t *testing.T) {
	target := app.Target{
		Modules: []fx.Option{fx.Module("engine", fx.Provide(func(fx.Lifecycle) *component { return &component{} }))},
		Plugins: []*plugins.Provided{
			plugins.Provide("other", neverConstruct[*component](t)),
			plugins.Provide("meddler", func(plugins.ContainerPlugin) (*meddler, error) { return nil, nil }),
			plugin("innocent", nil, nil),
		},
		Root: func(*component) {},
	}
	c := config.Default()
	_, err := app.Check(target, &c)
	assert.ErrorContains(t, err, `plugin "meddler" (`)
	assert.ErrorContains(t, err, "missing type: *app_test.component")
	assert.NotContains(t, err.Error(), "innocent")
	log, _ := observedLog()
	assert.Equal(t, 1, app.Run(context.Background(), target, &c, app.WithLogger(log)))
}

func TestRunNamesThePluginWhoseDependencyIsMissing(t *testing.T) {
	target := app.Target{
		Plugins: []*plugins.Provided{plugins.Provide("needy", neverConstruct[*missing](t))},
		Root:    func(plugins.ContainerPlugin) {},
	}
	log, logs := observedLog()
	c := config.Default()
	assert.Equal(t, 1, app.Run(context.Background(), target, &c, app.WithLogger(log)))
	require.Equal(t, 1, logs.Len())
	assert.Contains(t, logs.All()[0].ContextMap()["error"], `plugin "needy"`)
	assert.Contains(t, logs.All()[0].ContextMap()["error"], "missing type: *app_test.missing")
}
