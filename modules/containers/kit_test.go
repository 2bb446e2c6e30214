package containers

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/moby/moby/api/types/container"
	"github.com/stretchr/testify/require"

	"github.com/pouchfx/pouchfx/modules/containerd"
	"github.com/pouchfx/pouchfx/modules/containerd/containerdtest"
	"github.com/pouchfx/pouchfx/modules/containerd/shim"
	"github.com/pouchfx/pouchfx/modules/containers/runtimehook"
	"github.com/pouchfx/pouchfx/modules/events"
	"github.com/pouchfx/pouchfx/modules/images"
	"github.com/pouchfx/pouchfx/modules/networks"
	"github.com/pouchfx/pouchfx/modules/networks/cnitest"
	"github.com/pouchfx/pouchfx/modules/networks/netnstest"
	"github.com/pouchfx/pouchfx/modules/store"
	"github.com/pouchfx/pouchfx/modules/volumes"
	"github.com/pouchfx/pouchfx/plugins"
	"github.com/pouchfx/pouchfx/types"
)

func TestMain(m *testing.M) {
	if runtimehook.Requested() {
		os.Exit(runtimehook.Run())
	}
	if !shim.Requested() {
		cnitest.Build()
		containerdtest.Build()
		netnstest.Enter()
	}
	containerdtest.Main(m)
}

type noVolumeHooks struct{}

func (noVolumeHooks) PreVolumeCreate(context.Context, *types.VolumeCreateConfig) error { return nil }

type noImageHooks struct{ plugins.ImagePlugin }

// fixture is a daemon's part that runs containers, on roots of its own.
type fixture struct {
	*Service
	engine   *containerd.Engine
	config   containerd.Config
	store    *store.Store
	volumes  *volumes.Service
	networks *networks.Service
	bus      *events.Bus
}

// newFixture starts one with the image "box" in it.
func newFixture(t testing.TB, hooks plugins.ContainerPlugin) *fixture {
	t.Helper()
	config := containerdtest.Config(t)
	return newFixtureOn(t, containerdtest.Start(t, config), config, hooks)
}

func newFixtureOn(t testing.TB, engine *containerd.Engine, config containerd.Config, hooks plugins.ContainerPlugin) *fixture {
	t.Helper()
	f := &fixture{config: config, engine: engine}
	containerdtest.Import(t, f.engine, "box", containerdtest.Box(t))
	f.open(t, hooks)
	t.Cleanup(func() { f.shut(t) })
	return f
}

// open starts what a daemon has over its engine.
func (f *fixture) open(t testing.TB, hooks plugins.ContainerPlugin) {
	t.Helper()
	if hooks == nil {
		hooks = plugins.ContainerBase{}
	}
	log := containerdtest.Log(t)
	f.bus = events.New()
	f.store = store.New(filepath.Join(f.config.Root, "pouchfx.db"))
	require.NoError(t, f.store.Start(t.Context()))
	f.volumes = volumes.New(filepath.Join(f.config.Root, "volumes"), f.store, noVolumeHooks{}, f.bus, log)
	require.NoError(t, f.volumes.Start(t.Context()))
	f.networks = networks.New(networks.Params{Root: f.config.Root, ExecRoot: f.config.State, Programs: []string{cnitest.Dir()}, Store: f.store, Events: f.bus, Log: log})
	require.NoError(t, f.networks.Start(t.Context()))
	f.Service = New(Params{
		Engine: f.engine, Images: images.New(f.engine, noImageHooks{}, f.bus, log, images.Config{}), Volumes: f.volumes, Networks: f.networks,
		Hooks: hooks, Events: f.bus, Log: log, Root: f.config.Root, ExecRoot: f.config.State,
		Bundles: filepath.Join(f.config.State, "containerd", "io.containerd.runtime.v2.task", containerd.Namespace),
	})
	require.NoError(t, f.Open(t.Context()))
}

func (f *fixture) shut(t testing.TB) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	require.NoError(t, f.Close(ctx))
	require.NoError(t, f.networks.Stop(ctx))
	require.NoError(t, f.volumes.Stop(ctx))
	require.NoError(t, f.store.Stop(ctx))
}

// reopen is a daemon's stop and start: containers go on running.
func (f *fixture) reopen(t testing.TB) {
	t.Helper()
	f.shut(t)
	f.open(t, nil)
}

// create makes a container of the image box.
func (f *fixture) create(t testing.TB, name string, change func(*types.ContainerCreateConfig), cmd ...string) string {
	t.Helper()
	id, err := f.tryCreate(t, name, change, cmd...)
	require.NoError(t, err)
	return id
}

func (f *fixture) tryCreate(t testing.TB, name string, change func(*types.ContainerCreateConfig), cmd ...string) (string, error) {
	t.Helper()
	c := &types.ContainerCreateConfig{HostConfig: &types.HostConfig{NetworkMode: "none"}}
	c.Image, c.Cmd = "box", cmd
	if change != nil {
		change(c)
	}
	resp, err := f.Create(t.Context(), CreateOptions{Name: name, Config: c})
	return resp.ID, err
}

// run creates and starts a container and waits for its end. It returns what it
// wrote, stdout then stderr, and its exit code.
func (f *fixture) run(t testing.TB, change func(*types.ContainerCreateConfig), cmd ...string) (stdout, stderr string, code int) {
	t.Helper()
	id := f.create(t, "", change, cmd...)
	defer func() {
		require.NoError(t, f.Remove(context.Background(), id, RemoveOptions{Force: true, Volumes: true}))
	}()
	exit := f.startAndWait(t, id)
	out := f.logs(t, id, LogsOptions{Tail: -1})
	return out.text(1), out.text(2), exit
}

func (f *fixture) startAndWait(t testing.TB, id string) int {
	t.Helper()
	wait, err := f.Wait(t.Context(), id, container.WaitConditionNextExit)
	require.NoError(t, err)
	require.NoError(t, f.Service.Start(t.Context(), id))
	return receive(t, wait)
}

func receive(t testing.TB, wait <-chan container.WaitResponse) int {
	t.Helper()
	select {
	case r, ok := <-wait:
		require.True(t, ok, "the wait was ended without an answer")
		return int(r.StatusCode)
	case <-time.After(time.Minute):
		t.Fatal("the container did not end")
		return 0
	}
}

func (f *fixture) logs(t testing.TB, id string, o LogsOptions) *sink {
	t.Helper()
	o.Stdout, o.Stderr = true, true
	out := new(sink)
	require.NoError(t, f.Logs(t.Context(), id, o, out))
	return out
}

func (f *fixture) inspect(t testing.TB, id string) *container.InspectResponse {
	t.Helper()
	r, err := f.Inspect(t.Context(), id, false)
	require.NoError(t, err)
	return r
}

// sink collects the lines of a log.
type sink struct {
	mu    sync.Mutex
	lines [3]bytes.Buffer
}

func (s *sink) WriteLog(stream byte, _ time.Time, line []byte, _ map[string]string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lines[stream].Write(line)
	return nil
}

func (s *sink) text(stream byte) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.lines[stream].String()
}

// buffer is a writer that can be read while it is written to.
type buffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}
