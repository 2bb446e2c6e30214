package telemetry_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"go.uber.org/zap"

	"github.com/pouchfx/pouchfx/modules/config"
	"github.com/pouchfx/pouchfx/modules/registry"
	"github.com/pouchfx/pouchfx/modules/telemetry"
	"github.com/pouchfx/pouchfx/plugins"
	"github.com/pouchfx/pouchfx/types"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// plugin is a container plugin made of a function.
type plugin struct {
	plugins.ContainerBase
	preCreate func(context.Context, *types.ContainerCreateConfig) error
}

func (p plugin) PreCreate(ctx context.Context, c *types.ContainerCreateConfig) error {
	return p.preCreate(ctx, c)
}

// daemon is what a daemon has of plugins, observed.
type daemon struct {
	recorder *telemetry.Recorder
	chain    plugins.ContainerPlugin
	reporter *telemetry.Reporter
}

// newDaemon makes one of plugins that have the given PreCreate hooks; checks
// are those of its health.
func newDaemon(t testing.TB, r *telemetry.Recorder, hooks map[string]func(context.Context, *types.ContainerCreateConfig) error, checks ...telemetry.Check) *daemon {
	t.Helper()
	roster, err := registry.NewRoster(new(config.Default()), nil, zap.NewNop(), registry.WithObserver(r))
	require.NoError(t, err)
	var regs []*plugins.Registration
	for name, hook := range hooks {
		policy := plugins.DefaultPolicy()
		policy.OnError, policy.Timeout = plugins.Ignore, 20*time.Millisecond
		policy.Breaker.Failures, policy.Breaker.Cooldown = 3, time.Hour
		reg := &plugins.Registration{Name: name, Kinds: []plugins.Kind{plugins.KindContainer}, Policy: policy, Plugin: plugin{preCreate: hook}}
		if hook == nil {
			reg.Plugin, reg.Err = nil, errors.New("no disk")
		}
		regs = append(regs, reg)
	}
	chain, err := registry.NewContainers(roster, regs)
	require.NoError(t, err)
	all, err := registry.New(roster, map[plugins.Kind][]*plugins.Registration{plugins.KindContainer: regs})
	require.NoError(t, err)
	reporter, err := telemetry.NewReporter(telemetry.ReporterParams{Recorder: r, Plugins: all, Checks: checks, Log: zap.NewNop()})
	require.NoError(t, err)
	return &daemon{r, chain, reporter}
}

func body() *types.ContainerCreateConfig {
	return &types.ContainerCreateConfig{HostConfig: new(types.HostConfig), NetworkingConfig: new(types.NetworkingConfig)}
}

func TestEveryOutcomeOfAHookIsCounted(t *testing.T) {
	d := newDaemon(t, telemetry.New(nil, zap.NewNop()), map[string]func(context.Context, *types.ContainerCreateConfig) error{
		"good":  func(context.Context, *types.ContainerCreateConfig) error { return nil },
		"bad":   func(context.Context, *types.ContainerCreateConfig) error { return errors.New("refused") },
		"wild":  func(context.Context, *types.ContainerCreateConfig) error { panic("wild") },
		"stuck": func(ctx context.Context, _ *types.ContainerCreateConfig) error { <-ctx.Done(); return ctx.Err() },
	})
	for range 4 { // the last is skipped where three have failed
		require.NoError(t, d.chain.PreCreate(t.Context(), body()))
	}
	page := scrape(t, d.reporter)
	for _, line := range []string{
		`pouchfx_plugin_hook_calls_total{hook="PreCreate",outcome="ok",plugin="good"} 4`,
		`pouchfx_plugin_hook_calls_total{hook="PreCreate",outcome="error",plugin="good"} 0`,
		`pouchfx_plugin_hook_calls_total{hook="PreCreate",outcome="error",plugin="bad"} 3`,
		`pouchfx_plugin_hook_calls_total{hook="PreCreate",outcome="skipped",plugin="bad"} 1`,
		`pouchfx_plugin_hook_calls_total{hook="PreCreate",outcome="panic",plugin="wild"} 3`,
		`pouchfx_plugin_hook_calls_total{hook="PreCreate",outcome="timeout",plugin="stuck"} 3`,
		`pouchfx_plugin_hook_duration_seconds_count{hook="PreCreate",plugin="bad"} 3`,
		`pouchfx_plugin_hook_duration_seconds_bucket{hook="PreCreate",plugin="stuck",le="0.01"} 0`,
		`pouchfx_plugin_breaker_state{plugin="bad",state="open"} 1`,
		`pouchfx_plugin_breaker_state{plugin="good",state="closed"} 1`,
		`pouchfx_plugin_status{plugin="bad",status="skipped"} 1`,
		`pouchfx_plugin_status{plugin="good",status="running"} 1`,
	} {
		assert.Contains(t, page, line)
	}
}

func TestConflictsAreCounted(t *testing.T) {
	label := func(value string) func(context.Context, *types.ContainerCreateConfig) error {
		return func(_ context.Context, c *types.ContainerCreateConfig) error {
			c.Labels = map[string]string{"owner": value}
			return nil
		}
	}
	d := newDaemon(t, telemetry.New(nil, zap.NewNop()), map[string]func(context.Context, *types.ContainerCreateConfig) error{"a": label("a"), "b": label("b")})
	ctx, _ := registry.Begin(t.Context())
	require.NoError(t, d.chain.PreCreate(ctx, body()))
	assert.Contains(t, scrape(t, d.reporter), `pouchfx_plugin_conflicts_total{hook="PreCreate",plugin="b",with="a"} 1`)
}

func TestDaemonsInOneProcessCountForThemselves(t *testing.T) {
	hooks := map[string]func(context.Context, *types.ContainerCreateConfig) error{
		"p": func(context.Context, *types.ContainerCreateConfig) error { return nil },
	}
	one, two := newDaemon(t, telemetry.New(nil, zap.NewNop()), hooks), newDaemon(t, telemetry.New(nil, zap.NewNop()), hooks)
	require.NoError(t, one.chain.PreCreate(t.Context(), body()))
	assert.Contains(t, scrape(t, one.reporter), "pouchfx_plugin_hook_calls_total{")
	page := scrape(t, two.reporter)
	assert.NotContains(t, page, "pouchfx_plugin_hook_calls_total{")
	for _, name := range []string{"pouchfx_build_info{", "go_goroutines ", "process_resident_memory_bytes ", "pouchfx_boot_duration_seconds "} {
		assert.Equal(t, 1, strings.Count(page, "\n"+name), name)
	}
}

func TestHealthNamesWhatIsWrong(t *testing.T) {
	fine := telemetry.Check{Name: "store", Run: func(context.Context) error { return nil }}
	gone := telemetry.Check{Name: "containerd", Run: func(context.Context) error { return errors.New("does not answer") }}
	bad := func(context.Context, *types.ContainerCreateConfig) error { return errors.New("refused") }

	d := newDaemon(t, telemetry.New(nil, zap.NewNop()), nil, fine)
	assert.Equal(t, telemetry.Health{Status: telemetry.Ready}, d.reporter.Health(t.Context()))

	d = newDaemon(t, telemetry.New(nil, zap.NewNop()), map[string]func(context.Context, *types.ContainerCreateConfig) error{"bad": bad, "broken": nil}, fine)
	for range 3 {
		require.NoError(t, d.chain.PreCreate(t.Context(), body()))
	}
	h := d.reporter.Health(t.Context())
	assert.Equal(t, telemetry.Degraded, h.Status)
	require.Len(t, h.Reasons, 2)
	assert.Regexp(t, `^plugin "bad": skipped until \d{4}-.*: it kept failing$`, h.Reasons[0].String())
	assert.Equal(t, `plugin "broken": no disk`, h.Reasons[1].String())
	assert.Equal(t, 200, answer(t, d.reporter.ServeHealth).Code)

	d = newDaemon(t, telemetry.New(nil, zap.NewNop()), nil, gone, fine)
	res := answer(t, d.reporter.ServeHealth)
	assert.Equal(t, 503, res.Code)
	assert.Equal(t, `{"status":"failed","reasons":[{"check":"containerd","reason":"does not answer"}]}`+"\n", res.Body.String())
}
