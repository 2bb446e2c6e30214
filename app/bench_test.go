package app_test

import (
	"context"
	"fmt"
	"testing"

	"go.uber.org/fx"
	"go.uber.org/zap"

	"github.com/pouchfx/pouchfx/app"
	"github.com/pouchfx/pouchfx/modules/config"
	"github.com/pouchfx/pouchfx/modules/registry"
	"github.com/pouchfx/pouchfx/plugins"
)

// quiet is a target of three modules that do nothing.
func quiet() app.Target {
	t := app.Target{Root: func(components, plugins.ContainerPlugin, *registry.Registry) {}}
	nothing := func(context.Context) error { return nil }
	for _, name := range []string{"store", "engine", "api"} {
		t.Modules = append(t.Modules, fx.Module(name, fx.Provide(fx.Annotate(func(lc fx.Lifecycle) *component {
			lc.Append(fx.Hook{OnStart: nothing, OnStop: nothing})
			return &component{}
		}, fx.ResultTags(`group:"components"`)))))
	}
	return t
}

// From nothing to ready with n plugins, without what the engine itself does.
// Linear in n; the stop, which does nothing, is in the figure.
func BenchmarkStartWithPlugins(b *testing.B) {
	type params struct {
		plugins.In
		Config struct{ Limit int }
		Log    *zap.Logger
	}
	for _, n := range []int{1, 10, 100, 1000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			t := quiet()
			for i := range n {
				t.Plugins = append(t.Plugins, plugins.Provide(fmt.Sprintf("p%d", i),
					func(params) (*idle, error) { return &idle{}, nil }, plugins.Defaults(struct{ Limit int }{3})))
			}
			c := config.Default()
			b.ReportAllocs()
			b.ResetTimer()
			for range b.N {
				ctx, cancel := context.WithCancel(b.Context())
				if status := app.Run(ctx, t, &c, app.OnReady(cancel), app.WithLogger(zap.NewNop())); status != 0 {
					b.Fatal(status)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N)/float64(n), "µs/plugin")
		})
	}
}

// What a daemon plugin costs more: it is checked against the engine first.
func BenchmarkStartWithOneDaemonPlugin(b *testing.B) {
	t := quiet()
	t.Plugins = []*plugins.Provided{plugins.Provide("d", func(struct{}) (plugins.DaemonBase, error) { return plugins.DaemonBase{}, nil })}
	c := config.Default()
	for range b.N {
		ctx, cancel := context.WithCancel(b.Context())
		if status := app.Run(ctx, t, &c, app.OnReady(cancel), app.WithLogger(zap.NewNop())); status != 0 {
			b.Fatal(status)
		}
	}
}
