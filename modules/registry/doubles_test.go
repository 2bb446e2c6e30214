package registry_test

import (
	"context"
	"io"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/pouchfx/pouchfx/modules/registry"
	"github.com/pouchfx/pouchfx/networktypes"
	"github.com/pouchfx/pouchfx/plugins"
	"github.com/pouchfx/pouchfx/types"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// settings is a configuration without sections, but for the policies it holds.
type settings map[string]func(*plugins.Policy)

func (s settings) Plugin(name string, policy *plugins.Policy, _ any) error {
	if change := s[name]; change != nil {
		change(policy)
	}
	return nil
}

func (settings) Configured(string) bool { return true }

func (s settings) Conflicts(string) plugins.OnConflict { return plugins.Warn }

// plugin is a plugin of the container, API and volume kinds whose hooks are
// functions; nil ones do nothing.
type plugin struct {
	plugins.ContainerBase
	preCreate       func(context.Context, *types.ContainerCreateConfig) error
	preStart        func(*types.Container) ([]int, [][]string, error)
	preUpdate       func(io.ReadCloser) (io.ReadCloser, error)
	postUpdate      func([]string) error
	preEndpoint     func([]string, *networktypes.Endpoint) error
	updateHandler   func([]*types.HandlerSpec) []*types.HandlerSpec
	preVolumeCreate func(*types.VolumeCreateConfig) error
}

// undoer is one that can undo.
type undoer struct {
	*plugin
	undo func(context.Context, *types.ContainerCreateConfig) error
}

func (u undoer) UndoPreCreate(ctx context.Context, c *types.ContainerCreateConfig) error {
	return u.undo(ctx, c)
}

func (p *plugin) PreCreate(ctx context.Context, c *types.ContainerCreateConfig) error {
	if p.preCreate == nil {
		return nil
	}
	return p.preCreate(ctx, c)
}

func (p *plugin) PreStart(_ context.Context, c any) ([]int, [][]string, error) {
	if p.preStart == nil {
		return nil, nil, nil
	}
	return p.preStart(c.(*types.Container))
}

func (p *plugin) PreUpdate(_ context.Context, body io.ReadCloser) (io.ReadCloser, error) {
	if p.preUpdate == nil {
		return body, nil
	}
	return p.preUpdate(body)
}

func (p *plugin) PostUpdate(_ context.Context, _ string, env []string) error {
	if p.postUpdate == nil {
		return nil
	}
	return p.postUpdate(env)
}

func (p *plugin) PreCreateEndpoint(_ context.Context, _ string, env []string, e *networktypes.Endpoint) error {
	if p.preEndpoint == nil {
		return nil
	}
	return p.preEndpoint(env, e)
}

func (p *plugin) UpdateHandler(_ context.Context, specs []*types.HandlerSpec) []*types.HandlerSpec {
	if p.updateHandler == nil {
		return specs
	}
	return p.updateHandler(specs)
}

func (p *plugin) PreVolumeCreate(_ context.Context, c *types.VolumeCreateConfig) error {
	if p.preVolumeCreate == nil {
		return nil
	}
	return p.preVolumeCreate(c)
}

// reg registers p under a name with a patient policy that changes adjust.
func reg(name string, p any, changes ...func(*plugins.Policy)) *plugins.Registration {
	r := &plugins.Registration{
		Name: name, Plugin: p, Policy: plugins.DefaultPolicy(), Origin: "origin of " + name,
		Kinds: []plugins.Kind{plugins.KindAPI, plugins.KindContainer, plugins.KindVolume},
	}
	r.Policy.Timeout = time.Minute
	for _, change := range changes {
		change(&r.Policy)
	}
	return r
}

func ignore(p *plugins.Policy)   { p.OnError = plugins.Ignore }
func optional(p *plugins.Policy) { p.Required = false }
func hasty(p *plugins.Policy)    { p.Timeout = time.Millisecond }
func priority(n int) func(*plugins.Policy) {
	return func(p *plugins.Policy) { p.Priority = n }
}

func newRoster(t testing.TB) *registry.Roster {
	t.Helper()
	r, err := registry.NewRoster(settings{}, nil, zap.NewNop())
	require.NoError(t, err)
	return r
}

// observed returns a roster and what it logs.
func observed(t testing.TB) (*registry.Roster, *observer.ObservedLogs) {
	t.Helper()
	core, logs := observer.New(zapcore.DebugLevel)
	r, err := registry.NewRoster(settings{}, nil, zap.New(core))
	require.NoError(t, err)
	return r, logs
}

func containersOf(t testing.TB, regs ...*plugins.Registration) plugins.ContainerPlugin {
	t.Helper()
	c, err := registry.NewContainers(newRoster(t), regs)
	require.NoError(t, err)
	return c
}

func createConfig() *types.ContainerCreateConfig {
	return &types.ContainerCreateConfig{HostConfig: &types.HostConfig{}, NetworkingConfig: &types.NetworkingConfig{}}
}
