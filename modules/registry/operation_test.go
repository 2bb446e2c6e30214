package registry_test

import (
	"context"
	"errors"
	"io"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/api/types/network"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/zap"

	"github.com/pouchfx/pouchfx/modules/registry"
	"github.com/pouchfx/pouchfx/networktypes"
	"github.com/pouchfx/pouchfx/plugins"
	"github.com/pouchfx/pouchfx/types"
)

// sets returns a plugin whose PreCreate gives the container a label.
func sets(label, value string) *plugin {
	return &plugin{preCreate: func(_ context.Context, c *types.ContainerCreateConfig) error {
		if c.Labels == nil {
			c.Labels = map[string]string{}
		}
		c.Labels[label] = value
		return nil
	}}
}

func TestWhatEachPluginDidIsRecorded(t *testing.T) {
	c := containersOf(t, reg("a", sets("x", "1")), reg("b", &plugin{}), reg("c", fails(errors.New("no")), ignore), reg("d", appends("V=1")))
	ctx, operation := registry.Begin(t.Context())
	begun := time.Now()
	require.NoError(t, c.PreCreate(ctx, createConfig()))
	changes := operation.Changes()
	require.Len(t, changes, 4)
	assert.Equal(t, "a", changes[0].Plugin)
	assert.Equal(t, "PreCreate", changes[0].Hook)
	assert.JSONEq(t, `[{"op":"test","path":"/Labels","value":null},{"op":"replace","path":"/Labels","value":{"x":"1"}}]`, string(changes[0].Patch))
	assert.Equal(t, []string{"/Labels/x"}, changes[0].Fields)
	assert.WithinRange(t, changes[0].At, begun, time.Now())
	assert.Positive(t, changes[0].Duration)
	assert.Empty(t, changes[1].Patch, "it changed nothing")
	assert.Equal(t, "no", changes[2].Error)
	assert.Empty(t, changes[2].Fields, "what it changed was dropped")
	assert.Equal(t, []string{"/Env/V"}, changes[3].Fields)
}

func TestEveryHookThatChangesSomethingIsRecorded(t *testing.T) {
	program, err := os.Executable()
	require.NoError(t, err)
	p := &plugin{
		preStart: func(c *types.Container) ([]int, [][]string, error) {
			c.Annotations = map[string]string{"a": "b"}
			return []int{7}, [][]string{{program, "x", "y"}}, nil
		},
		preEndpoint: func(_ []string, e *networktypes.Endpoint) error { e.Priority = 3; return nil },
		preUpdate: func(io.ReadCloser) (io.ReadCloser, error) {
			return io.NopCloser(strings.NewReader(`{"Memory":2}`)), nil
		},
		preVolumeCreate: func(v *types.VolumeCreateConfig) error { v.Driver = "local"; return nil },
	}
	ctx, operation := registry.Begin(t.Context())
	c := containersOf(t, reg("p", p))
	_, _, err = c.PreStart(ctx, &types.Container{Config: &types.ContainerConfig{}, HostConfig: &types.HostConfig{}})
	require.NoError(t, err)
	require.NoError(t, c.PreCreateEndpoint(ctx, "id", nil, &networktypes.Endpoint{Network: "front", EndpointConfig: &network.EndpointSettings{}}))
	_, err = c.PreUpdate(ctx, io.NopCloser(strings.NewReader(`{"Memory":1}`)))
	require.NoError(t, err)
	v, err := registry.NewVolumes(newRoster(t), []*plugins.Registration{reg("p", p)})
	require.NoError(t, err)
	require.NoError(t, v.PreVolumeCreate(ctx, &types.VolumeCreateConfig{Name: "data"}))

	changes := operation.Changes()
	require.Len(t, changes, 4)
	for i, want := range []struct{ hook, subject, field string }{
		{"PreStart", "", "/Annotations/a"}, {"PreCreateEndpoint", "front", "/Priority"}, {"PreUpdate", "", "/Memory"}, {"PreVolumeCreate", "data", "/Driver"},
	} {
		assert.Equal(t, want.hook, changes[i].Hook)
		assert.Equal(t, want.subject, changes[i].Subject)
		assert.Equal(t, []string{want.field}, changes[i].Fields)
		assert.NotEmpty(t, changes[i].Patch)
	}
	assert.Equal(t, []registry.RuntimeHook{{Priority: 7, Path: program, Args: []string{"x", "y"}}}, changes[0].RuntimeHooks)
}

type moody struct{ Mood any }

func (moody) MarshalJSON() ([]byte, error) { panic("not today") }

func TestWhatCannotBeShownIsSaid(t *testing.T) {
	ctx, operation := registry.Begin(t.Context())
	c := containersOf(t, reg("p", &plugin{preEndpoint: func(_ []string, e *networktypes.Endpoint) error {
		e.GenericParams = map[string]any{"a": moody{}}
		return nil
	}}))
	require.NoError(t, c.PreCreateEndpoint(ctx, "id", nil, &networktypes.Endpoint{EndpointConfig: &network.EndpointSettings{}}))
	assert.Equal(t, "it cannot be shown: panic: not today", operation.Changes()[0].Omitted)
}

func TestUndoRunsInReverseForThoseThatRan(t *testing.T) {
	var undone []string
	undoes := func(name string) undoer {
		return undoer{appends(name + "=1"), func(ctx context.Context, c *types.ContainerCreateConfig) error {
			assert.NoError(t, ctx.Err())
			assert.Equal(t, "web", plugins.RequestFrom(ctx).Name)
			assert.Equal(t, name+"=1", c.Env[len(c.Env)-1], "as its PreCreate left it")
			c.Env[0] = "somebody else's"
			undone = append(undone, name)
			return nil
		}}
	}
	c := containersOf(t, reg("a", undoes("a")), reg("b", undoer{fails(errors.New("no")), func(context.Context, *types.ContainerCreateConfig) error {
		t.Error("its PreCreate failed")
		return nil
	}}, ignore), reg("c", undoes("c")), reg("d", fails(errors.New("full"))), reg("e", undoes("e")))
	request, gone := context.WithCancel(plugins.WithRequest(t.Context(), plugins.Request{Name: "web"}))
	ctx, operation := registry.Begin(request)
	require.ErrorContains(t, c.PreCreate(ctx, createConfig()), `"d"`)
	gone()
	require.NoError(t, operation.Undo(t.Context()))
	assert.Equal(t, []string{"c", "a"}, undone)
	require.NoError(t, operation.Undo(t.Context()))
	assert.Len(t, undone, 2, "once is enough")
}

func TestAllAreUndoneWhateverTheOthersDo(t *testing.T) {
	var undone bool
	release := make(chan struct{})
	defer close(release)
	ok := func(context.Context, *types.ContainerCreateConfig) error { undone = true; return nil }
	hangs := func(context.Context, *types.ContainerCreateConfig) error { <-release; return nil }
	bad := func(context.Context, *types.ContainerCreateConfig) error { panic("boom") }
	roster, logs := observed(t)
	c, err := registry.NewContainers(roster, []*plugins.Registration{
		reg("a", undoer{&plugin{}, ok}), reg("b", undoer{&plugin{}, hangs}, func(p *plugins.Policy) { p.Timeout = time.Second }), reg("c", undoer{&plugin{}, bad})})
	require.NoError(t, err)
	ctx, operation := registry.Begin(t.Context())
	require.NoError(t, c.PreCreate(ctx, createConfig()))
	err = operation.Undo(t.Context())
	assert.ErrorContains(t, err, `plugin "c": UndoPreCreate: panic: boom`)
	assert.ErrorContains(t, err, `plugin "b": UndoPreCreate: abandoned`)
	assert.Equal(t, 2, logs.FilterMessage("cannot undo").Len())
	assert.True(t, undone)
}

func TestTwoPluginsThatWriteOneField(t *testing.T) {
	for _, c := range []struct {
		about     string
		regs      []*plugins.Registration
		conflicts []registry.Conflict
	}{
		{"the same", []*plugins.Registration{reg("a", sets("x", "1")), reg("b", sets("x", "2"))}, []registry.Conflict{{Field: "/Labels/x", With: "a"}}},
		{"others", []*plugins.Registration{reg("a", sets("x", "1")), reg("b", sets("y", "2"))}, nil},
		{"the same value", []*plugins.Registration{reg("a", sets("x", "1")), reg("b", sets("x", "1"))}, nil},
		{"who says after", []*plugins.Registration{reg("a", sets("x", "1")), reg("b", sets("x", "2"), after("a"))}, nil},
		{"who says before", []*plugins.Registration{reg("a", sets("x", "1"), before("b")), reg("b", sets("x", "2"))}, nil},
		{"a variable", []*plugins.Registration{reg("a", appends("V=1")), reg("b", appends("V=2"))}, []registry.Conflict{{Field: "/Env/V", With: "a"}}},
	} {
		roster, logs := observed(t)
		chain, err := registry.NewContainers(roster, c.regs)
		require.NoError(t, err)
		ctx, operation := registry.Begin(t.Context())
		require.NoError(t, chain.PreCreate(ctx, createConfig()), c.about)
		assert.Equal(t, c.conflicts, operation.Changes()[1].Conflicts, c.about)
		assert.Equal(t, len(c.conflicts), logs.FilterMessage("two plugins write one field").Len(), c.about)
	}
}

// refusing says that conflicts are errors.
type refusing struct{ settings }

func (refusing) Conflicts(string) plugins.OnConflict { return plugins.Refuse }

func TestAConflictMayBeRefused(t *testing.T) {
	roster, err := registry.NewRoster(refusing{}, nil, zap.NewNop())
	require.NoError(t, err)
	undone := false
	second := undoer{sets("x", "2"), func(context.Context, *types.ContainerCreateConfig) error { undone = true; return nil }}
	c, err := registry.NewContainers(roster, []*plugins.Registration{reg("a", sets("x", "1")), reg("b", second)})
	require.NoError(t, err)
	ctx, operation := registry.Begin(t.Context())
	config := createConfig()
	err = c.PreCreate(ctx, config)
	assert.EqualError(t, err, `plugin "b": PreCreate: it writes /Labels/x, which plugin "a" has written: if it may, put "a" into the list after of its policy; else change one of the two`)
	assert.True(t, errdefs.IsConflict(err))
	assert.Empty(t, config.Labels)
	require.NoError(t, operation.Undo(t.Context()))
	assert.True(t, undone, "its PreCreate ran")
}

func TestBothHooksOfACreateWriteTheSameFields(t *testing.T) {
	roster := newRoster(t)
	c, err := registry.NewContainers(roster, []*plugins.Registration{reg("b", sets("x", "2"))})
	require.NoError(t, err)
	r, err := registry.NewCri(roster, []*plugins.Registration{{Name: "a", Kinds: []plugins.Kind{plugins.KindCri}, Plugin: criPlugin{sets("x", "1")}, Policy: plugins.DefaultPolicy()}})
	require.NoError(t, err)
	ctx, operation := registry.Begin(t.Context())
	config := createConfig()
	require.NoError(t, r.PreCreateContainer(ctx, config, nil))
	require.NoError(t, c.PreCreate(ctx, config))
	assert.Equal(t, []registry.Conflict{{Field: "/Labels/x", With: "a"}}, operation.Changes()[1].Conflicts)
}

type criPlugin struct{ *plugin }

func (p criPlugin) PreCreateContainer(ctx context.Context, c *types.ContainerCreateConfig, _ any) error {
	return p.preCreate(ctx, c)
}
