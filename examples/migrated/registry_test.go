package migrated

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/zap"

	_ "github.com/pouchfx/pouchfx/examples/migrated/apiplugin"
	_ "github.com/pouchfx/pouchfx/examples/migrated/containerplugin"
	_ "github.com/pouchfx/pouchfx/examples/migrated/hostplugin"
	"github.com/pouchfx/pouchfx/modules/registry"
	"github.com/pouchfx/pouchfx/networktypes"
	"github.com/pouchfx/pouchfx/plugins"
	"github.com/pouchfx/pouchfx/types"
)

// defaults are settings that say nothing.
type defaults struct{}

func (defaults) Plugin(string, *plugins.Policy, any) error { return nil }
func (defaults) Configured(string) bool                    { return false }
func (defaults) Conflicts(string) plugins.OnConflict       { return plugins.Warn }

func roster(t *testing.T) *registry.Roster {
	t.Helper()
	r, err := registry.NewRoster(defaults{}, plugins.Registered(), zap.NewNop())
	require.NoError(t, err)
	return r
}

func TestAPluginFromInitIsNamedAfterItsTypeAndItsInit(t *testing.T) {
	found := map[string]string{}
	for _, r := range plugins.Registered() {
		found[r.Name] = r.Origin
	}
	require.Len(t, found, 5)
	for _, name := range []string{"containerplugin.contPlugin", "apiplugin.apiPlugin", "hostplugin.daemonPlugin", "hostplugin.volumePlugin", "hostplugin.imagePlugin"} {
		pkg, _, _ := strings.Cut(name, ".")
		assert.Contains(t, found[name], "examples/migrated/"+pkg+".init", "where it is registered, not how")
	}
}

func TestTheHooksOfMovedPluginsRunInTheChains(t *testing.T) {
	containers, err := registry.NewContainers(roster(t), nil)
	require.NoError(t, err)
	config := &types.ContainerCreateConfig{HostConfig: &types.HostConfig{}, NetworkingConfig: &types.NetworkingConfig{}}
	config.Env = []string{"MEMORY_LIMIT=1024"}
	require.NoError(t, containers.PreCreate(t.Context(), config))
	assert.EqualValues(t, 1024, config.HostConfig.Memory)
	assert.EqualValues(t, 512, config.HostConfig.ShmSize)

	config.Env = []string{"MEMORY_LIMIT=much"}
	assert.ErrorContains(t, containers.PreCreate(t.Context(), config), `plugin "containerplugin.contPlugin": PreCreate: -e MEMORY_LIMIT=much is invalid`)

	c := &types.Container{ID: "abc", Name: "web", Config: &types.ContainerConfig{}, HostConfig: &types.HostConfig{}, NetworkSettings: &types.NetworkSettings{}}
	priorities, args, err := containers.PreStart(t.Context(), c)
	require.NoError(t, err)
	assert.Equal(t, []int{100}, priorities)
	assert.Equal(t, "/bin/sh", args[0][0])
	assert.Contains(t, c.Config.Env, "CONTAINER_NAME=web")

	e := &networktypes.Endpoint{EndpointConfig: &types.EndpointSettings{}, GenericParams: map[string]any{}}
	require.NoError(t, containers.PreCreateEndpoint(t.Context(), "abc", []string{"net_vlan=7"}, e))
	assert.Equal(t, map[string]any{"net_vlan": "7"}, e.GenericParams)
	assert.Equal(t, 10, e.Priority)

	body, err := containers.PreUpdate(t.Context(), io.NopCloser(strings.NewReader(`{"Env": ["MEMORY_LIMIT=2048"]}`)))
	require.NoError(t, err)
	text, err := io.ReadAll(body)
	require.NoError(t, err)
	assert.JSONEq(t, `{"Env": ["MEMORY_LIMIT=2048"], "Memory": 2048}`, string(text))

	volumes, err := registry.NewVolumes(roster(t), nil)
	require.NoError(t, err)
	v := &types.VolumeCreateConfig{}
	require.NoError(t, volumes.PreVolumeCreate(t.Context(), v))
	assert.NotEmpty(t, v.Labels["helper"])
}

func TestTheRoutesOfAMovedPlugin(t *testing.T) {
	chain, err := registry.NewAPI(roster(t), nil)
	require.NoError(t, err)
	asked := ""
	serve := func(_ context.Context, _ http.ResponseWriter, r *http.Request) error {
		asked = r.PathValue("name") + r.URL.Query().Get("name")
		return errors.New("served")
	}
	routes, err := registry.UpdateHandler(t.Context(), chain, []*types.HandlerSpec{
		types.NewHandlerSpec("GET", "/containers/{name:.*}/json", serve),
		types.NewHandlerSpec("POST", "/containers/create", serve),
		types.NewHandlerSpec("POST", "/commit", serve),
	})
	require.NoError(t, err)
	require.Len(t, routes, 4, "one removed, two added")
	req := httptest.NewRequest("GET", "/", nil)
	req.SetPathValue("name", "old-web")
	rw := httptest.NewRecorder()
	assert.EqualError(t, routes[0].HandlerFunc(t.Context(), rw, req), "served")
	assert.Equal(t, "web", asked)
	assert.Equal(t, "acme", rw.Header().Get("X-Engine"))
	assert.EqualError(t, routes[1].HandlerFunc(t.Context(), rw, httptest.NewRequest("POST", "/?name=old-web", nil)), "served")
	assert.Equal(t, "web", asked)
}
