package registry_test

import (
	"context"
	"net/http"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/zap"

	"github.com/pouchfx/pouchfx/modules/registry"
	"github.com/pouchfx/pouchfx/plugins"
	"github.com/pouchfx/pouchfx/types"
)

func serve(context.Context, http.ResponseWriter, *http.Request) error { return nil }

func get(paths ...string) []*types.HandlerSpec {
	var specs []*types.HandlerSpec
	for _, p := range paths {
		specs = append(specs, types.NewHandlerSpec(http.MethodGet, p, serve))
	}
	return specs
}

func TestRoutesThatDifferAreAccepted(t *testing.T) {
	assert.NoError(t, registry.CheckRoutes(append(
		get("/", "/_ping", "/containers/{name}/json", "/containers/json", "/images/{name:.*}/json", "/images/json",
			"/images/{name:.*}", "/images/{name}/own", "/x/{a}/{b:.*}/c", "/volumes/{name}"),
		types.NewHandlerSpec(http.MethodHead, "/_ping", serve), types.NewHandlerSpec("DELETE", "/volumes/{name:.*}", serve))))
}

func TestRoutesThatCannotBeServedAreRefused(t *testing.T) {
	for want, specs := range map[string][]*types.HandlerSpec{
		"route 1 of 2 is nil":                               {get("/a")[0], nil},
		`route "GET" "/a": it has no handler`:               {types.NewHandlerSpec("GET", "/a", nil)},
		`route "get" "/a": the method must be in capitals`:  {types.NewHandlerSpec("get", "/a", serve)},
		`there is GET /a/{id} already`:                      get("/a/{id}", "/a/{name}"),
		`there is GET /a/{x:.*}/b already`:                  get("/a/{x:.*}/b", "/a/{y:.*}/b"),
		`route "GET" "": the path must begin with a slash`:  get(""),
		`route "GET" "a": the path must begin with a slash`: get("a"),
		`segment "" must be a literal`:                      get("/a//b"),
		`segment "{" must be a literal`:                     get("/{/b"),
		`segment "{a}b" must be a literal`:                  get("/{a}b"),
		`segment "{a:[0-9]+}" must be a literal`:            get("/{a:[0-9]+}"),
		`segment "a b" must be a literal`:                   get("/a b"),
		`variable "a" occurs twice`:                         get("/{a}/{a}"),
		`only one variable can be {name:.*}`:                get("/{a:.*}/{b:.*}"),
		`leave out the version`:                             get("/v1.44/info"),
	} {
		assert.ErrorContains(t, registry.CheckRoutes(specs), want)
	}
}

func FuzzCheckRoutes(f *testing.F) {
	for _, s := range []string{"/", "/a/{b}", "/{c:.*}/d", "/{", "//", "/v1.2/x"} {
		f.Add("GET", s)
	}
	f.Fuzz(func(t *testing.T, method, path string) {
		spec := types.NewHandlerSpec(method, path, serve)
		if registry.CheckRoutes([]*types.HandlerSpec{spec}) == nil {
			assert.Error(t, registry.CheckRoutes([]*types.HandlerSpec{spec, spec}), "a route is there once")
		}
	})
}

func apiOf(t *testing.T, regs ...*plugins.Registration) plugins.APIPlugin {
	t.Helper()
	c, err := registry.NewAPI(newRoster(t), regs)
	require.NoError(t, err)
	return c
}

func TestUpdateHandlerHandsTheListFromPluginToPlugin(t *testing.T) {
	adds := &plugin{updateHandler: func(specs []*types.HandlerSpec) []*types.HandlerSpec {
		return append(specs, get("/added")...)
	}}
	removes := &plugin{updateHandler: func(specs []*types.HandlerSpec) []*types.HandlerSpec { return specs[1:] }}
	specs, err := registry.UpdateHandler(t.Context(), apiOf(t, reg("a", adds), reg("b", removes)), get("/first", "/second"))
	require.NoError(t, err)
	require.Len(t, specs, 2)
	assert.Equal(t, "/second", specs[0].Path)
	assert.Equal(t, "/added", specs[1].Path)
}

func TestUpdateHandlerNamesThePluginOfABadRoute(t *testing.T) {
	duplicates := &plugin{updateHandler: func(specs []*types.HandlerSpec) []*types.HandlerSpec {
		return append(specs, get("/first")...)
	}}
	chain := apiOf(t, reg("dup", duplicates))
	_, err := registry.UpdateHandler(t.Context(), chain, get("/first"))
	assert.ErrorContains(t, err, `plugin "dup": UpdateHandler: route "GET" "/first": there is GET /first already`)
	assert.Nil(t, chain.UpdateHandler(t.Context(), get("/first")), "there is no list that could be served")

	_, err = registry.UpdateHandler(t.Context(), duplicates, get("/first"))
	assert.Error(t, err, "a plugin alone is checked too")
}

func TestUpdateHandlerDropsTheChangesOfAnIgnoredPlugin(t *testing.T) {
	spoils := &plugin{updateHandler: func(specs []*types.HandlerSpec) []*types.HandlerSpec {
		specs[0].HandlerFunc = nil
		return specs
	}}
	original := get("/first")
	specs, err := registry.UpdateHandler(t.Context(), apiOf(t, reg("p", spoils, ignore)), original)
	require.NoError(t, err)
	assert.NotNil(t, specs[0].HandlerFunc)
	assert.NotNil(t, original[0].HandlerFunc, "specs are copied too")
}

func TestPreVolumeCreateChangesTheConfig(t *testing.T) {
	c, err := registry.NewVolumes(newRoster(t), []*plugins.Registration{
		reg("p", &plugin{preVolumeCreate: func(c *types.VolumeCreateConfig) error {
			c.Labels = map[string]string{"by": "p"}
			return nil
		}})})
	require.NoError(t, err)
	config := &types.VolumeCreateConfig{Name: "v"}
	require.NoError(t, c.PreVolumeCreate(t.Context(), config))
	assert.Equal(t, map[string]string{"by": "p"}, config.Labels)
}

// sandboxed is a CRI plugin.
type sandboxed func(*types.ContainerCreateConfig, any) error

func (s sandboxed) PreCreateContainer(_ context.Context, c *types.ContainerCreateConfig, sandbox any) error {
	return s(c, sandbox)
}

func TestPreCreateContainerGivesEachPluginItsOwnSandbox(t *testing.T) {
	p := sandboxed(func(c *types.ContainerCreateConfig, sandbox any) error {
		meta := sandbox.(*types.SandboxMeta)
		assert.Equal(t, "pod", meta.Labels["name"])
		meta.Labels["name"] = "changed"
		c.Env = append(c.Env, meta.ID)
		return nil
	})
	regs := []*plugins.Registration{reg("a", p), reg("b", p)}
	for _, r := range regs {
		r.Kinds = []plugins.Kind{plugins.KindCri}
	}
	roster, err := registry.NewRoster(settings{}, nil, zap.NewNop())
	require.NoError(t, err)
	c, err := registry.NewCri(roster, regs)
	require.NoError(t, err)
	config := createConfig()
	require.NoError(t, c.PreCreateContainer(t.Context(), config,
		&types.SandboxMeta{ID: "s", Labels: map[string]string{"name": "pod"}}))
	assert.Equal(t, []string{"s", "s"}, config.Env)
}
