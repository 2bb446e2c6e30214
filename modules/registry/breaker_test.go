package registry_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/zap"

	"github.com/pouchfx/pouchfx/modules/registry"
	"github.com/pouchfx/pouchfx/plugins"
	"github.com/pouchfx/pouchfx/types"
)

// breaks gives a plugin a circuit breaker that opens after three failures.
func breaks(cooldown time.Duration) func(*plugins.Policy) {
	return func(p *plugins.Policy) { p.Breaker = plugins.Breaker{Failures: 3, Cooldown: cooldown} }
}

// listed returns the only plugin of a roster, as the daemon lists it.
func listed(t *testing.T, roster *registry.Roster) registry.Info {
	t.Helper()
	all, err := registry.New(roster, nil)
	require.NoError(t, err)
	require.Len(t, all.List(), 1)
	return all.List()[0]
}

func TestAPluginThatKeepsFailingIsSkippedForAWhile(t *testing.T) {
	var calls int
	var broken error
	p := &plugin{preCreate: func(context.Context, *types.ContainerCreateConfig) error { calls++; return broken }}
	roster, logs := observed(t)
	c, err := registry.NewContainers(roster, []*plugins.Registration{reg("p", p, ignore, breaks(50*time.Millisecond))})
	require.NoError(t, err)
	create := func() []registry.Change {
		ctx, operation := registry.Begin(t.Context())
		require.NoError(t, c.PreCreate(ctx, createConfig()))
		return operation.Changes()
	}
	broken = errors.New("no")
	create()
	create()
	assert.Equal(t, &registry.BreakerInfo{State: "closed", Failures: 2}, listed(t, roster).Breaker)
	create()
	opened := time.Now()
	info := listed(t, roster)
	assert.Equal(t, registry.Tripped, info.Status)
	assert.Equal(t, "open", info.Breaker.State)
	assert.WithinDuration(t, opened, info.Breaker.Until, 60*time.Millisecond)
	if changes := create(); time.Since(opened) < 40*time.Millisecond {
		assert.Equal(t, 3, calls)
		assert.Regexp(t, "^skipped until .*: it kept failing$", changes[0].Error)
	}
	assert.Equal(t, 1, logs.FilterMessageSnippet("it is skipped").Len())

	broken = nil
	require.Eventually(t, func() bool { create(); return calls > 3 }, 10*time.Second, time.Millisecond)
	assert.Equal(t, registry.Running, listed(t, roster).Status)
	assert.Equal(t, 1, logs.FilterMessage("plugin is tried again").Len())
	assert.Equal(t, 1, logs.FilterMessage("plugin works again").Len())
}

func TestAPluginWhoseFailuresCountKeepsFailing(t *testing.T) {
	c := containersOf(t, reg("p", fails(errors.New("no")), breaks(time.Hour)))
	for range 10 {
		require.ErrorContains(t, c.PreCreate(t.Context(), createConfig()), `plugin "p": PreCreate: no`)
	}
}

func TestClientsThatGoDoNotTripABreaker(t *testing.T) {
	roster := newRoster(t)
	release := make(chan struct{})
	defer close(release)
	started := make(chan struct{}, 10)
	c, err := registry.NewContainers(roster, []*plugins.Registration{reg("p", &plugin{preCreate: func(context.Context, *types.ContainerCreateConfig) error {
		started <- struct{}{}
		<-release
		return nil
	}}, ignore, breaks(time.Hour))})
	require.NoError(t, err)
	for range 5 {
		ctx, cancel := context.WithCancel(t.Context())
		go func() { <-started; cancel() }()
		require.ErrorIs(t, c.PreCreate(ctx, createConfig()), context.Canceled)
	}
	assert.Equal(t, &registry.BreakerInfo{State: "closed"}, listed(t, roster).Breaker)
}

func TestABreakerThatOpensInAStormLosesNobody(t *testing.T) {
	c := containersOf(t, reg("a", fails(errors.New("no")), ignore, breaks(time.Millisecond)), reg("b", appends("V=1")))
	var creates sync.WaitGroup
	for range 8 {
		creates.Go(func() {
			for range 200 {
				config := createConfig()
				assert.NoError(t, c.PreCreate(t.Context(), config))
				assert.Equal(t, []string{"V=1"}, config.Env)
			}
		})
	}
	creates.Wait()
}

// watcher notes what it is told.
type watcher struct {
	mu   sync.Mutex
	seen []string
}

type watched struct{}

func (w *watcher) Begin(ctx context.Context, plugin, hook string) (context.Context, func(registry.Outcome, error)) {
	return context.WithValue(ctx, watched{}, hook), func(o registry.Outcome, _ error) { w.note(plugin + " " + hook + " " + string(o)) }
}

func (w *watcher) Conflict(_ context.Context, plugin, hook, with, field string) {
	w.note(plugin + " " + hook + " " + field + " of " + with)
}

func (w *watcher) note(s string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.seen = append(w.seen, s)
}

func TestAnObserverIsToldOfEveryCall(t *testing.T) {
	w := new(watcher)
	roster, err := registry.NewRoster(settings{}, nil, zap.NewNop(), registry.WithObserver(w))
	require.NoError(t, err)
	release := make(chan struct{})
	defer close(release)
	does := func(f func(context.Context, *types.ContainerCreateConfig) error) *plugin {
		return &plugin{preCreate: f}
	}
	once := func(p *plugins.Policy) { p.Breaker = plugins.Breaker{Failures: 1, Cooldown: time.Hour} }
	c, err := registry.NewContainers(roster, []*plugins.Registration{
		reg("a", does(func(ctx context.Context, c *types.ContainerCreateConfig) error {
			assert.Equal(t, "PreCreate", ctx.Value(watched{}), "the hook gets the observer's context")
			c.Env = []string{"V=1"}
			return nil
		})),
		reg("b", fails(errors.New("no")), ignore, once),
		reg("c", does(func(context.Context, *types.ContainerCreateConfig) error { panic("boom") }), ignore),
		reg("d", does(func(context.Context, *types.ContainerCreateConfig) error { <-release; return nil }), ignore, hasty),
		reg("e", appends("V=2")),
	})
	require.NoError(t, err)
	ctx, _ := registry.Begin(t.Context())
	require.NoError(t, c.PreCreate(ctx, createConfig()))
	assert.Equal(t, []string{
		"a PreCreate ok", "b PreCreate error", "c PreCreate panic", "d PreCreate timeout", "e PreCreate ok", "e PreCreate /Env/V of a",
	}, w.seen)
	require.NoError(t, c.PreCreate(t.Context(), createConfig()))
	assert.Equal(t, "b PreCreate skipped", w.seen[7])
}
