package registry_test

import (
	"context"
	"errors"
	"runtime"
	"testing"

	"github.com/containerd/errdefs"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pouchfx/pouchfx/modules/registry"
	"github.com/pouchfx/pouchfx/plugins"
	"github.com/pouchfx/pouchfx/types"
)

// appends returns a plugin whose PreCreate adds s to the environment.
func appends(s string) *plugin {
	return &plugin{preCreate: func(_ context.Context, c *types.ContainerCreateConfig) error {
		c.Env = append(c.Env, s)
		return nil
	}}
}

func fails(err error) *plugin {
	return &plugin{preCreate: func(_ context.Context, c *types.ContainerCreateConfig) error {
		c.Env = append(c.Env, "half-done")
		return err
	}}
}

func TestPluginsRunByPriorityThenName(t *testing.T) {
	c := containersOf(t,
		reg("b", appends("b")), reg("last", appends("last"), priority(-1)),
		reg("a", appends("a")), reg("first", appends("first"), priority(9)))
	config := createConfig()
	require.NoError(t, c.PreCreate(t.Context(), config))
	assert.Equal(t, []string{"first", "a", "b", "last"}, config.Env)
}

func TestAnEmptyChainChangesNothing(t *testing.T) {
	config := createConfig()
	host := config.HostConfig
	require.NoError(t, containersOf(t).PreCreate(t.Context(), config))
	assert.Same(t, host, config.HostConfig)
}

func TestAnErrorNamesPluginAndHookAndKeepsItsClass(t *testing.T) {
	c := containersOf(t, reg("env-limits", fails(errdefs.ErrInvalidArgument.WithMessage(`MEMORY_LIMIT "12q"`))))
	config := createConfig()
	err := c.PreCreate(t.Context(), config)
	assert.EqualError(t, err, `plugin "env-limits": PreCreate: MEMORY_LIMIT "12q"`)
	assert.True(t, errdefs.IsInvalidArgument(err))
	assert.Empty(t, config.Env, "what a failed hook wrote reaches nobody")
}

func TestAFailureEndsTheChain(t *testing.T) {
	c := containersOf(t, reg("a", appends("a")), reg("b", fails(errors.New("no"))), reg("c", &plugin{
		preCreate: func(context.Context, *types.ContainerCreateConfig) error {
			t.Error("called after a failure")
			return nil
		},
	}))
	config := createConfig()
	require.Error(t, c.PreCreate(t.Context(), config))
	assert.Empty(t, config.Env, "the caller's value is as before")
}

func TestAnIgnoredFailureIsLoggedAndItsChangesAreDropped(t *testing.T) {
	roster, logs := observed(t)
	c, err := registry.NewContainers(roster, []*plugins.Registration{
		reg("a", appends("a")), reg("b", fails(errors.New("no")), ignore), reg("c", appends("c"))})
	require.NoError(t, err)
	config := createConfig()
	require.NoError(t, c.PreCreate(t.Context(), config))
	assert.Equal(t, []string{"a", "c"}, config.Env)
	require.Equal(t, 1, logs.Len())
	fields := logs.All()[0].ContextMap()
	assert.Equal(t, "b", fields["plugin"])
	assert.Equal(t, "PreCreate", fields["hook"])
	assert.Equal(t, "no", fields["error"])
}

func TestAPanicIsAnErrorAndItsStackIsLogged(t *testing.T) {
	roster, logs := observed(t)
	c, err := registry.NewContainers(roster, []*plugins.Registration{reg("p", &plugin{
		preCreate: func(context.Context, *types.ContainerCreateConfig) error { panic("boom") },
	})})
	require.NoError(t, err)
	assert.EqualError(t, c.PreCreate(t.Context(), createConfig()), `plugin "p": PreCreate: panic: boom`)
	require.Equal(t, 1, logs.Len())
	assert.Contains(t, logs.All()[0].ContextMap()["stack"], "TestAPanicIsAnErrorAndItsStackIsLogged")
}

func TestAHookThatExitsItsGoroutineIsAnError(t *testing.T) {
	c := containersOf(t, reg("p", &plugin{preCreate: func(context.Context, *types.ContainerCreateConfig) error {
		runtime.Goexit()
		return nil
	}}))
	assert.ErrorContains(t, c.PreCreate(t.Context(), createConfig()), `plugin "p": PreCreate: its goroutine exited`)
}

func TestWhatAnAbandonedHookWritesLaterReachesNobody(t *testing.T) {
	release, wrote := make(chan struct{}), make(chan struct{})
	hangs := &plugin{preCreate: func(_ context.Context, c *types.ContainerCreateConfig) error {
		defer close(wrote)
		<-release
		c.Env[0] = "late"
		c.HostConfig.Binds = []string{"/:/late"}
		return nil
	}}
	c := containersOf(t, reg("hangs", hangs, hasty, ignore), reg("next", appends("next"), priority(-1)))
	config := createConfig()
	config.Env = []string{"early"}
	require.NoError(t, c.PreCreate(t.Context(), config))
	close(release)
	<-wrote
	assert.Equal(t, []string{"early", "next"}, config.Env)
	assert.Empty(t, config.HostConfig.Binds)
}

func TestATimeoutIsAnErrorOfItsClass(t *testing.T) {
	release := make(chan struct{})
	defer close(release)
	c := containersOf(t, reg("hangs", &plugin{preCreate: func(context.Context, *types.ContainerCreateConfig) error {
		<-release
		return nil
	}}, hasty))
	err := c.PreCreate(t.Context(), createConfig())
	assert.ErrorIs(t, err, context.DeadlineExceeded)
	assert.ErrorContains(t, err, `plugin "hangs": PreCreate: abandoned: no answer within 1ms`)
}

func TestTheCallersCancellationEndsTheChainEvenWhenFailuresAreIgnored(t *testing.T) {
	gone := errors.New("the client has gone")
	ctx, cancel := context.WithCancelCause(t.Context())
	release := make(chan struct{})
	defer close(release)
	c := containersOf(t, reg("p", &plugin{preCreate: func(context.Context, *types.ContainerCreateConfig) error {
		cancel(gone)
		<-release
		return nil
	}}, ignore))
	assert.ErrorIs(t, c.PreCreate(ctx, createConfig()), gone)
}

func TestAHookSeesTheValuesOfTheCallersContext(t *testing.T) {
	var got plugins.Request
	c := containersOf(t, reg("p", &plugin{preCreate: func(ctx context.Context, _ *types.ContainerCreateConfig) error {
		got = plugins.RequestFrom(ctx)
		_, bounded := ctx.Deadline()
		assert.True(t, bounded)
		return nil
	}}))
	require.NoError(t, c.PreCreate(plugins.WithRequest(t.Context(), plugins.Request{Name: "web"}), createConfig()))
	assert.Equal(t, "web", got.Name)
}
