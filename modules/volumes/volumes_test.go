package volumes

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/containerd/errdefs"
	eventtypes "github.com/moby/moby/api/types/events"
	"github.com/moby/moby/api/types/volume"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/zap/zaptest"

	"github.com/pouchfx/pouchfx/modules/config"
	"github.com/pouchfx/pouchfx/modules/events"
	"github.com/pouchfx/pouchfx/modules/filters"
	"github.com/pouchfx/pouchfx/modules/registry"
	"github.com/pouchfx/pouchfx/modules/store"
	"github.com/pouchfx/pouchfx/plugins"
	"github.com/pouchfx/pouchfx/types"
)

// hook is a PreVolumeCreate.
type hook func(*types.VolumeCreateConfig) error

func (h hook) PreVolumeCreate(_ context.Context, c *types.VolumeCreateConfig) error { return h(c) }

var noHook = hook(func(*types.VolumeCreateConfig) error { return nil })

// house is a service on a root that a test may end and begin again.
type house struct {
	*Service
	dir   string
	store *store.Store
	bus   *events.Bus
}

func newHouse(t *testing.T, h plugins.VolumePlugin) *house {
	t.Helper()
	s := &house{dir: t.TempDir(), bus: events.New()}
	s.begin(t, h)
	t.Cleanup(func() { s.end(t) })
	return s
}

func (h *house) begin(t *testing.T, hooks plugins.VolumePlugin) {
	t.Helper()
	h.store = store.New(filepath.Join(h.dir, "px.db"))
	require.NoError(t, h.store.Start(t.Context()))
	h.Service = New(filepath.Join(h.dir, "volumes"), h.store, hooks, h.bus, zaptest.NewLogger(t))
	require.NoError(t, h.Start(t.Context()))
}

func TestUsage(t *testing.T) {
	h := newHouse(t, noHook)
	for _, name := range []string{"plain", "mounted"} {
		options := map[string]string{}
		if name == "mounted" {
			options = map[string]string{"type": "tmpfs", "device": "tmpfs"}
		}
		v, err := h.Create(t.Context(), &types.VolumeCreateConfig{Name: name, DriverOpts: options})
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(filepath.Join(v.Mountpoint, "file"), []byte("12345"), 0o600))
	}
	require.NoError(t, h.Acquire(t.Context(), "plain", "c"))
	all, err := h.Usage(t.Context())
	require.NoError(t, err)
	require.Len(t, all, 2)
	assert.Equal(t, &volume.UsageData{Size: -1}, all[0].UsageData)
	assert.Equal(t, &volume.UsageData{Size: 5, RefCount: 1}, all[1].UsageData)
}

func (h *house) end(t *testing.T) {
	t.Helper()
	require.NoError(t, h.Stop(context.Background()))
	require.NoError(t, h.store.Stop(context.Background()))
}

// restart ends the service and begins it again, as a daemon does.
func (h *house) restart(t *testing.T) {
	t.Helper()
	h.end(t)
	h.begin(t, noHook)
}

func (h *house) names(t *testing.T, f filters.Args) []string {
	t.Helper()
	list, err := h.List(t.Context(), f)
	require.NoError(t, err)
	names := []string{}
	for _, v := range list.Volumes {
		names = append(names, v.Name)
	}
	return names
}

func named(name string) *types.VolumeCreateConfig { return &types.VolumeCreateConfig{Name: name} }

func one(key, value string) filters.Args { return filters.Args{key: {value: true}} }

func TestAVolumeIsARecordAndADirectory(t *testing.T) {
	h := newHouse(t, noHook)
	made, err := h.Create(t.Context(), &types.VolumeCreateConfig{Name: "data", Labels: map[string]string{"a": "b"}})
	require.NoError(t, err)
	assert.Equal(t, "local", made.Driver)
	assert.Equal(t, "local", made.Scope)
	assert.Equal(t, map[string]string{"a": "b"}, made.Labels)
	_, err = time.Parse(time.RFC3339, made.CreatedAt)
	assert.NoError(t, err)
	for path, mode := range map[string]os.FileMode{made.Mountpoint: 0o755, filepath.Dir(made.Mountpoint): 0o701} {
		info, err := os.Stat(path)
		require.NoError(t, err)
		assert.Equal(t, mode|os.ModeDir, info.Mode(), path)
	}

	require.NoError(t, os.WriteFile(filepath.Join(made.Mountpoint, "f"), []byte("kept"), 0o600))
	h.restart(t)
	found, err := h.Get(t.Context(), "data")
	require.NoError(t, err)
	assert.Equal(t, made, found)
	assert.FileExists(t, filepath.Join(found.Mountpoint, "f"))
}

func TestCreateIsIdempotent(t *testing.T) {
	calls := 0
	h := newHouse(t, hook(func(c *types.VolumeCreateConfig) error {
		calls++
		c.DriverOpts["o"] += ",noexec"
		return nil
	}))
	config := &types.VolumeCreateConfig{Name: "data", DriverOpts: map[string]string{"type": "tmpfs", "device": "tmpfs", "o": "size=1m"}}
	first, err := h.Create(t.Context(), config)
	require.NoError(t, err)
	assert.Equal(t, "size=1m,noexec", first.Options["o"])
	assert.Equal(t, "size=1m", config.DriverOpts["o"], "the caller's configuration stays as it was")

	for _, again := range []*types.VolumeCreateConfig{config, named("data"), {Name: "data", Driver: "local", DriverOpts: first.Options}} {
		v, err := h.Create(t.Context(), again)
		require.NoError(t, err)
		assert.Equal(t, first, v)
	}
	assert.Equal(t, 1, calls, "the hook runs where a volume is made")

	_, err = h.Create(t.Context(), &types.VolumeCreateConfig{Name: "data", DriverOpts: map[string]string{"type": "tmpfs", "device": "tmpfs"}})
	assert.True(t, errdefs.IsConflict(err), "%v", err)
}

func TestAVolumeWithoutANameIsAnonymous(t *testing.T) {
	h := newHouse(t, noHook)
	v, err := h.Create(t.Context(), &types.VolumeCreateConfig{})
	require.NoError(t, err)
	assert.Regexp(t, "^[0-9a-f]{64}$", v.Name)
	assert.Equal(t, map[string]string{AnonymousLabel: ""}, v.Labels)
}

func TestWhatCannotBeMadeIsRefused(t *testing.T) {
	tests := map[string]struct {
		config types.VolumeCreateConfig
		want   string
	}{
		"short name":     {types.VolumeCreateConfig{Name: "x"}, "too short"},
		"long name":      {types.VolumeCreateConfig{Name: strings.Repeat("x", 256)}, "too long"},
		"parent":         {types.VolumeCreateConfig{Name: "../x"}, "includes invalid characters"},
		"slash":          {types.VolumeCreateConfig{Name: "a/b"}, "includes invalid characters"},
		"hidden":         {types.VolumeCreateConfig{Name: ".removed-x"}, "includes invalid characters"},
		"newline":        {types.VolumeCreateConfig{Name: "data\n"}, "includes invalid characters"},
		"driver":         {types.VolumeCreateConfig{Name: "data", Driver: "nosuch"}, `volume driver "nosuch" is unknown: this daemon has the driver "local"`},
		"swarm":          {types.VolumeCreateConfig{Name: "data", ClusterVolumeSpec: &volume.ClusterVolumeSpec{}}, "ClusterVolumeSpec is not supported"},
		"unknown option": {types.VolumeCreateConfig{Name: "data", DriverOpts: map[string]string{"tpye": "nfs"}}, `invalid option: "tpye"`},
		"quota":          {types.VolumeCreateConfig{Name: "data", DriverOpts: map[string]string{"size": "1g"}}, `option "size" is not supported`},
		"no device":      {types.VolumeCreateConfig{Name: "data", DriverOpts: map[string]string{"type": "tmpfs"}}, `missing required option: "device"`},
		"only options":   {types.VolumeCreateConfig{Name: "data", DriverOpts: map[string]string{"o": "bind"}}, `missing required option: "type"`},
	}
	h := newHouse(t, noHook)
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := h.Create(t.Context(), &test.config)
			assert.True(t, errdefs.IsInvalidArgument(err), "%v", err)
			assert.ErrorContains(t, err, test.want)
		})
	}
	assert.Empty(t, h.names(t, nil))
}

func TestAHookChangesTheVolume(t *testing.T) {
	h := newHouse(t, hook(func(c *types.VolumeCreateConfig) error {
		c.Name = "team-" + c.Name
		c.Labels = map[string]string{"team": "blue"}
		return nil
	}))
	v, err := h.Create(t.Context(), named("data"))
	require.NoError(t, err)
	assert.Equal(t, "team-data", v.Name)
	assert.Equal(t, map[string]string{"team": "blue"}, v.Labels)
	again, err := h.Create(t.Context(), named("data"))
	require.NoError(t, err)
	assert.Equal(t, v, again)
}

func TestNothingIsLeftWhenAHookFailsOrWritesNonsense(t *testing.T) {
	boom := errors.New("boom")
	for name, h := range map[string]hook{
		"fails":    func(*types.VolumeCreateConfig) error { return boom },
		"nonsense": func(c *types.VolumeCreateConfig) error { c.Name = "../../etc"; return nil },
	} {
		t.Run(name, func(t *testing.T) {
			s := newHouse(t, h)
			_, err := s.Create(t.Context(), named("data"))
			require.Error(t, err)
			assert.Equal(t, name == "fails", errors.Is(err, boom))
			entries, err := os.ReadDir(s.path)
			require.NoError(t, err)
			assert.Empty(t, entries)
			assert.Empty(t, s.names(t, nil))
		})
	}
}

func TestAHookMayMakeAnotherVolume(t *testing.T) {
	var h *house
	h = newHouse(t, hook(func(c *types.VolumeCreateConfig) error {
		if c.Name == "data" {
			_, err := h.Create(context.Background(), named("data-backup"))
			return err
		}
		return nil
	}))
	_, err := h.Create(t.Context(), named("data"))
	require.NoError(t, err)
	assert.Equal(t, []string{"data", "data-backup"}, h.names(t, nil))
}

func TestListFilters(t *testing.T) {
	h := newHouse(t, noHook)
	for _, c := range []*types.VolumeCreateConfig{
		{Name: "red", Labels: map[string]string{"colour": "red"}}, {Name: "green", Labels: map[string]string{"colour": "green"}}, {Name: "used"},
	} {
		_, err := h.Create(t.Context(), c)
		require.NoError(t, err)
	}
	require.NoError(t, h.Acquire(t.Context(), "used", "c1"))
	for name, test := range map[string]struct {
		filters filters.Args
		want    []string
	}{
		"none":         {nil, []string{"green", "red", "used"}},
		"label":        {one("label", "colour"), []string{"green", "red"}},
		"label value":  {one("label", "colour=red"), []string{"red"}},
		"name":         {one("name", "re"), []string{"green", "red"}},
		"dangling":     {one("dangling", "true"), []string{"green", "red"}},
		"not dangling": {one("dangling", "false"), []string{"used"}},
		"driver":       {one("driver", "local"), []string{"green", "red", "used"}},
		"other driver": {one("driver", "nfs"), []string{}},
	} {
		t.Run(name, func(t *testing.T) { assert.Equal(t, test.want, h.names(t, test.filters)) })
	}
	_, err := h.List(t.Context(), one("colour", "red"))
	assert.True(t, errdefs.IsInvalidArgument(err), "%v", err)
}

func TestEventsTellWhatHappened(t *testing.T) {
	h := newHouse(t, noHook)
	_, live, cancel := h.bus.Subscribe(time.Time{}, time.Time{})
	defer cancel()
	_, err := h.Create(t.Context(), named("data"))
	require.NoError(t, err)
	require.NoError(t, h.Acquire(t.Context(), "data", "c1"))
	_, err = h.Mount(t.Context(), "data", "c1")
	require.NoError(t, err)
	h.Release(t.Context(), "data", "c1")
	require.NoError(t, h.Remove(t.Context(), "data", false))
	for _, want := range []eventtypes.Action{"create", "mount", "unmount", "destroy"} {
		m := <-live
		assert.Equal(t, want, m.Action)
		assert.Equal(t, "data", m.Actor.ID)
		assert.Equal(t, "local", m.Actor.Attributes["driver"])
	}
}

func TestAVolumeKeepsWhatPluginsDid(t *testing.T) {
	settings := config.Default()
	roster, err := registry.NewRoster(&settings, nil, zaptest.NewLogger(t))
	require.NoError(t, err)
	chain, err := registry.NewVolumes(roster, []*plugins.Registration{{
		Name: "labels", Kinds: []plugins.Kind{plugins.KindVolume}, Policy: plugins.DefaultPolicy(),
		Plugin: hook(func(c *types.VolumeCreateConfig) error { c.Labels = map[string]string{"by": "plugin"}; return nil }),
	}})
	require.NoError(t, err)
	h := newHouse(t, chain)
	_, err = h.Create(t.Context(), named("data"))
	require.NoError(t, err)
	_, err = h.CreateFor(t.Context(), named("implied"), "c")
	require.NoError(t, err)
	h.restart(t)
	v, err := h.Get(t.Context(), "data")
	require.NoError(t, err)
	text, err := json.Marshal(v.Status)
	require.NoError(t, err)
	assert.Contains(t, string(text), `{"pouchfx":{"Explain":{"Create":[{"Plugin":"labels","Hook":"PreVolumeCreate","Subject":"data",`)
	v, err = h.Get(t.Context(), "implied")
	require.NoError(t, err)
	assert.Empty(t, v.Status, "the container keeps it")
}
