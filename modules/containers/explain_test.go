package containers

import (
	"bytes"
	"context"
	"errors"
	"io"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/containerd/containerd/v2/core/containers"
	"github.com/containerd/errdefs"
	"github.com/containerd/typeurl/v2"
	"github.com/moby/moby/api/types/network"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/zap"
	"google.golang.org/protobuf/types/known/anypb"

	"github.com/pouchfx/pouchfx/modules/config"
	"github.com/pouchfx/pouchfx/modules/explain"
	"github.com/pouchfx/pouchfx/modules/registry"
	"github.com/pouchfx/pouchfx/networktypes"
	"github.com/pouchfx/pouchfx/plugins"
	"github.com/pouchfx/pouchfx/types"
)

// undoer is a plugin that changes something in every hook and notes what it
// undid.
type undoer struct {
	plugins.ContainerBase
	name   string
	undone *journal
	undo   func(context.Context) error
}

type journal struct {
	mu    sync.Mutex
	names []string
}

func (j *journal) add(name string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.names = append(j.names, name)
}

func (j *journal) take() []string {
	j.mu.Lock()
	defer j.mu.Unlock()
	names := j.names
	j.names = nil
	return names
}

func (u *undoer) PreCreate(ctx context.Context, c *types.ContainerCreateConfig) error {
	c.Env = append(c.Env, "BY_"+u.name+"=secret")
	if plugins.RequestFrom(ctx).DryRun {
		u.undone.add("dry " + u.name)
	}
	return nil
}

func (u *undoer) UndoPreCreate(ctx context.Context, _ *types.ContainerCreateConfig) error {
	undo := u.undo // before the test is told, which may change it then
	u.undone.add(u.name)
	if undo != nil {
		return undo(ctx)
	}
	return ctx.Err()
}

func (u *undoer) PreStart(_ context.Context, c any) ([]int, [][]string, error) {
	c.(*types.Container).Annotations["by."+u.name] = "1"
	return nil, nil, nil
}

func (u *undoer) PreCreateEndpoint(_ context.Context, _ string, _ []string, e *networktypes.Endpoint) error {
	e.Priority++
	return nil
}

func (u *undoer) PreUpdate(_ context.Context, body io.ReadCloser) (io.ReadCloser, error) {
	body.Close()
	return io.NopCloser(strings.NewReader(`{"Env":["UPDATED=` + u.name + `"]}`)), nil
}

// chained is the chain of the plugins, in the order of their names.
func chained(t testing.TB, all ...*undoer) plugins.ContainerPlugin {
	t.Helper()
	var regs []*plugins.Registration
	for _, u := range all {
		regs = append(regs, &plugins.Registration{Name: u.name, Plugin: u})
	}
	return chainOf(t, regs...)
}

func chainOf(t testing.TB, regs ...*plugins.Registration) plugins.ContainerPlugin {
	t.Helper()
	settings := config.Default()
	roster, err := registry.NewRoster(&settings, nil, zap.NewNop())
	require.NoError(t, err)
	for _, r := range regs {
		r.Policy, r.Kinds = plugins.DefaultPolicy(), []plugins.Kind{plugins.KindContainer}
		r.Policy.Timeout = time.Second
	}
	chain, err := registry.NewContainers(roster, regs)
	require.NoError(t, err)
	return chain
}

func hooksOf(changes []registry.Change) (all []string) {
	for _, c := range changes {
		all = append(all, strings.TrimSpace(c.Plugin+" "+c.Hook+" "+c.Subject)+" "+strings.Join(c.Fields, ","))
	}
	return all
}

func TestWhatPluginsDidIsKeptWithTheContainer(t *testing.T) {
	f := newFixture(t, chained(t, &undoer{name: "A", undone: new(journal)}))
	ctx := t.Context()
	explained := func(id string) *explain.Explanation {
		e, err := f.Explain(ctx, id)
		require.NoError(t, err)
		return e
	}
	id := f.create(t, "web", func(c *types.ContainerCreateConfig) { c.HostConfig.NetworkMode = "bridge" }, "sleep", "1000")
	e := explained("web")
	assert.Equal(t, []string{"A PreCreate /Env/BY_A"}, hooksOf(e.Create))
	assert.Empty(t, e.Start)

	_, err := f.Update(ctx, id, io.NopCloser(strings.NewReader(`{}`)))
	require.NoError(t, err)
	started := []string{"A PreStart /Annotations/by.A", "A PreCreateEndpoint bridge /Priority"}
	require.NoError(t, f.Service.Start(ctx, id))
	e = explained(id)
	assert.Equal(t, started, hooksOf(e.Start))
	assert.Equal(t, []string{"A PreUpdate /Env/UPDATED"}, hooksOf(e.Update))

	_, err = f.networks.Create(ctx, network.CreateRequest{Name: "other"})
	require.NoError(t, err)
	require.NoError(t, f.Connect(ctx, id, "other", nil))
	e = explained(id)
	assert.Equal(t, []string{"A PreCreateEndpoint other /Priority"}, hooksOf(e.Connect))
	assert.Equal(t, started, hooksOf(e.Start))

	require.NoError(t, f.Stop(ctx, id, new(0), ""))
	f.reopen(t)
	assert.Len(t, explained(id).Create, 1, "the next daemon knows it")
	require.NoError(t, f.Remove(ctx, id, RemoveOptions{Force: true}))
	_, err = f.Explain(ctx, id)
	assert.True(t, errdefs.IsNotFound(err))
}

// An older version kept nothing, a newer one something else.
func TestContainersOfOtherVersionsAreNotHarmed(t *testing.T) {
	f := newFixture(t, nil)
	ctx := t.Context()
	id := f.create(t, "old", nil, "true")
	e, err := f.Explain(ctx, id)
	require.NoError(t, err)
	assert.True(t, e.Empty())

	value := &anypb.Any{TypeUrl: "pouchfx/v9/Explanation", Value: []byte{1}}
	_, err = f.engine.Client().ContainerService().Update(ctx, containers.Container{ID: id, Extensions: map[string]typeurl.Any{explain.Extension: value}}, "extensions."+explain.Extension)
	require.NoError(t, err)
	f.shut(t)
	f.open(t, chained(t, &undoer{name: "A", undone: new(journal)}))
	_, err = f.Explain(ctx, id)
	assert.ErrorContains(t, err, "it was written by another version of the daemon, as pouchfx/v9/Explanation")
	require.NoError(t, f.Service.Start(ctx, id), "it goes on working")
	e, err = f.Explain(ctx, id)
	require.NoError(t, err)
	assert.Len(t, e.Start, 1)
	assert.Equal(t, 1, e.Forgotten)
}

func TestACreateThatFailsLateUndoesItsPlugins(t *testing.T) {
	done := new(journal)
	a, b := &undoer{name: "A", undone: done}, &undoer{name: "B", undone: done}
	f := newFixture(t, chained(t, a, b))
	late := func(c *types.ContainerCreateConfig) {
		c.HostConfig.Binds, c.HostConfig.VolumeDriver = []string{"data:/a"}, "nosuch"
	}

	_, err := f.tryCreate(t, "web", late, "true")
	require.ErrorContains(t, err, "nosuch")
	assert.Equal(t, []string{"B", "A"}, done.take())
	f.empty(t)

	t.Run("whoever fails or hangs", func(t *testing.T) {
		hang := make(chan struct{})
		defer close(hang)
		a.undo = func(context.Context) error { return errors.New("stuck") }
		b.undo = func(context.Context) error { <-hang; return nil }
		_, err := f.tryCreate(t, "web", late, "true")
		assert.True(t, errdefs.IsInvalidArgument(err), "the class of the cause: %v", err)
		assert.ErrorContains(t, err, "nosuch")
		assert.ErrorContains(t, err, `plugin "A": UndoPreCreate: stuck: what its PreCreate did may be left behind`)
		assert.ErrorContains(t, err, `plugin "B": UndoPreCreate: abandoned`)
		assert.Equal(t, []string{"B", "A"}, done.take())
		f.empty(t)
	})
	a.undo, b.undo = nil, nil
	f.create(t, "web", nil, "true")
	assert.Empty(t, done.take(), "nothing failed")
}

func TestADryRunMakesNothing(t *testing.T) {
	done := new(journal)
	f := newFixture(t, chained(t, &undoer{name: "A", undone: done}, &undoer{name: "B", undone: done}))
	ctx := t.Context()
	try := func(name string, change func(*types.ContainerCreateConfig)) *explain.DryRun {
		c := &types.ContainerCreateConfig{HostConfig: &types.HostConfig{NetworkMode: "none", Binds: []string{"data:/data"}}}
		c.Image, c.Cmd = "box", []string{"true"}
		if change != nil {
			change(c)
		}
		r, err := f.DryRun(ctx, CreateOptions{Name: name, Config: c})
		require.NoError(t, err)
		assert.Empty(t, c.Env, "on a copy")
		assert.Equal(t, []string{"dry A", "dry B", "B", "A"}, done.take())
		return r
	}
	r := try("web", nil)
	assert.Empty(t, r.Error)
	assert.Equal(t, []string{"A PreCreate /Env/BY_A", "B PreCreate /Env/BY_B"}, hooksOf(r.Explain.Create))
	assert.Equal(t, []string{"BY_A=secret", "BY_B=secret"}, r.Config.(*types.ContainerCreateConfig).Env)
	f.empty(t)
	list, err := f.volumes.List(ctx, nil)
	require.NoError(t, err)
	assert.Empty(t, list.Volumes)

	f.create(t, "web", nil, "true")
	done.take()
	assert.Contains(t, try("web", nil).Error, `The container name "/web" is already in use`)
	r = try("other", func(c *types.ContainerCreateConfig) { c.Image = "nosuch" })
	assert.Contains(t, r.Error, "nosuch")
	assert.Len(t, r.Explain.Create, 2, "what the plugins did is shown all the same")
}

// A patch of a mebibyte is not kept, and that is said.
func TestAHugeChangeIsBounded(t *testing.T) {
	f := newFixture(t, chained(t, &undoer{name: "A", undone: new(journal)}))
	id := f.create(t, "", nil, "true")
	record, err := f.engine.Client().ContainerService().Get(t.Context(), id)
	require.NoError(t, err)
	assert.Less(t, len(record.Extensions[explain.Extension].GetValue()), 1<<10)

	f.shut(t)
	f.open(t, chainOf(t, &plugins.Registration{Name: "huge", Plugin: label{}}))
	id = f.create(t, "", nil, "true")
	record, err = f.engine.Client().ContainerService().Get(t.Context(), id)
	require.NoError(t, err)
	assert.LessOrEqual(t, len(record.Extensions[explain.Extension].GetValue()), explain.MaxSize)
	e, err := f.Explain(t.Context(), id)
	require.NoError(t, err)
	var text bytes.Buffer
	require.NoError(t, e.Write(&text, false))
	assert.Contains(t, text.String(), "/Labels/huge")
	assert.Contains(t, text.String(), "are not kept")
	assert.Len(t, f.inspect(t, id).Config.Labels["huge"], 1<<20, "the container has it")
}

// label is a plugin that adds a mebibyte.
type label struct{ plugins.ContainerBase }

func (label) PreCreate(_ context.Context, c *types.ContainerCreateConfig) error {
	c.Labels = map[string]string{"huge": strings.Repeat("x", 1<<20)}
	return nil
}
