package hookplugins_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pouchfx/pouchfx/networktypes"
	"github.com/pouchfx/pouchfx/plugins"
	"github.com/pouchfx/pouchfx/plugins/hookplugins"
	"github.com/pouchfx/pouchfx/types"
)

// first is a plugin of the first releases: bodies, and three results for an
// endpoint.
type first struct{ changed string }

func (f *first) PreCreate(in io.ReadCloser) (io.ReadCloser, error) {
	if f.changed != "" {
		return io.NopCloser(strings.NewReader(f.changed)), nil
	}
	var body map[string]any
	if err := json.NewDecoder(in).Decode(&body); err != nil {
		return nil, err
	}
	body["HostConfig"].(map[string]any)["Memory"] = 1 << 20
	text, err := json.Marshal(body)
	return io.NopCloser(strings.NewReader(string(text))), err
}

func (f *first) PreStart(config interface{}) ([]int, [][]string, error) {
	return []int{1}, [][]string{{config.(*types.Container).ID}}, nil
}

func (f *first) PreCreateEndpoint(id string, env []string) (priority int, disableResolver bool, genericParam map[string]interface{}) {
	return 7, true, map[string]interface{}{"id": id}
}

// typed is a plugin of the releases before contexts.
type typed struct{ first }

func (*typed) PreCreate(c *types.ContainerCreateConfig) error { c.User = "typed"; return nil }
func (*typed) PreCreateEndpoint(id string, _ []string, e *networktypes.Endpoint) error {
	e.Owner = id
	return nil
}
func (*typed) PreUpdate(io.ReadCloser) (io.ReadCloser, error) {
	return io.NopCloser(strings.NewReader("typed")), nil
}
func (*typed) PostUpdate(rootfs string, env []string) error { return errors.New(rootfs + env[0]) }

// last is a plugin of the last release, as today's are.
type last struct{ plugins.ContainerBase }

func config() *types.ContainerCreateConfig {
	return &types.ContainerCreateConfig{
		ContainerConfig: types.ContainerConfig{SpecificID: "x", SpecAnnotation: map[string]string{"a": "b"}},
		HostConfig:      &types.HostConfig{CapAdd: []string{"ALL"}}, NetworkingConfig: &types.NetworkingConfig{},
	}
}

func TestThePluginsOfTheFirstReleases(t *testing.T) {
	p, err := hookplugins.Container(&first{})
	require.NoError(t, err)

	c, want := config(), config()
	require.NoError(t, p.PreCreate(t.Context(), c))
	want.HostConfig.Memory = 1 << 20
	assert.Equal(t, asJSON(t, want), asJSON(t, c), "the body carries all fields")

	priorities, args, err := p.PreStart(t.Context(), &types.Container{ID: "abc"})
	require.NoError(t, err)
	assert.Equal(t, []int{1}, priorities)
	assert.Equal(t, [][]string{{"abc"}}, args)

	e := &networktypes.Endpoint{}
	require.NoError(t, p.PreCreateEndpoint(t.Context(), "abc", nil, e))
	assert.Equal(t, &networktypes.Endpoint{Priority: 7, DisableResolver: true, GenericParams: map[string]any{"id": "abc"}}, e)

	in := io.NopCloser(strings.NewReader("as it was"))
	out, err := p.PreUpdate(t.Context(), in)
	require.NoError(t, err)
	assert.Equal(t, in, out, "a hook that did not exist yet changes nothing")
	assert.NoError(t, p.PostUpdate(t.Context(), "", nil))
}

func asJSON(t *testing.T, v any) string {
	t.Helper()
	text, err := json.Marshal(v)
	require.NoError(t, err)
	return string(text)
}

func TestABodyThatCannotBeUsedLeavesTheConfigurationAsItWas(t *testing.T) {
	for body, want := range map[string]string{
		`{`:                                    "cannot decode",
		`{"HostConfig": {"Memory": "much"}}`:   "cannot decode",
		`"` + strings.Repeat("x", 5<<20) + `"`: "more than",
	} {
		p, err := hookplugins.Container(&first{changed: body})
		require.NoError(t, err)
		c := config()
		assert.ErrorContains(t, p.PreCreate(t.Context(), c), want)
		assert.Equal(t, config(), c)
	}
	p, err := hookplugins.Container(&first{changed: `{"Image": "box"}`})
	require.NoError(t, err)
	c := config()
	require.NoError(t, p.PreCreate(t.Context(), c))
	assert.NotNil(t, c.HostConfig, "which a hook must not make nil")
	assert.NotNil(t, c.NetworkingConfig)

	nothing, err := hookplugins.Container(nilBody{})
	require.NoError(t, err)
	assert.ErrorContains(t, nothing.PreCreate(t.Context(), config()), "neither a body nor an error")
}

type nilBody struct{}

func (nilBody) PreCreate(io.ReadCloser) (io.ReadCloser, error) { return nil, nil }

func TestThePluginsBeforeContexts(t *testing.T) {
	p, err := hookplugins.Container(&typed{})
	require.NoError(t, err)
	c := config()
	require.NoError(t, p.PreCreate(t.Context(), c))
	assert.Equal(t, "typed", c.User)
	e := &networktypes.Endpoint{}
	require.NoError(t, p.PreCreateEndpoint(t.Context(), "abc", nil, e))
	assert.Equal(t, "abc", e.Owner)
	out, err := p.PreUpdate(t.Context(), nil)
	require.NoError(t, err)
	text, err := io.ReadAll(out)
	require.NoError(t, err)
	assert.Equal(t, "typed", string(text))
	assert.EqualError(t, p.PostUpdate(t.Context(), "/root", []string{"A=b"}), "/rootA=b")
}

func TestAPluginOfTodayIsTakenAsItIs(t *testing.T) {
	p := &last{}
	got, err := hookplugins.Container(p)
	require.NoError(t, err)
	assert.Same(t, p, got)
}

type odd struct{}

func (odd) PreCreate(string) error             { return nil }
func (odd) UpdateHandler(int)                  {}
func (odd) PreVolumeCreate(context.Context)    {}
func (odd) PreCreateContainer(context.Context) {}

func TestWhatIsNoPluginIsRefusedWithTheReason(t *testing.T) {
	for about, c := range map[string]struct {
		err  error
		want string
	}{
		"another signature":                   {second(hookplugins.Container(odd{})), "hookplugins_test.odd.PreCreate is a func(string) error: it must be a func(*types.ContainerCreateConfig) error"},
		"no hook":                             {second(hookplugins.Container(struct{}{})), "struct {} has no hook of a container plugin"},
		"a value whose methods have pointers": {second(hookplugins.Container(first{})), "first has no hook"},
		"nil":                                 {second(hookplugins.Container(nil)), "it is nil"},
		"api":                                 {second(hookplugins.API(odd{})), "UpdateHandler is a func(int)"},
		"volume":                              {second(hookplugins.Volume(odd{})), "PreVolumeCreate is a func(context.Context)"},
		"cri":                                 {second(hookplugins.Cri(odd{})), "PreCreateContainer is a func(context.Context)"},
		"no cri":                              {second(hookplugins.Cri(&first{})), "has no PreCreateContainer"},
	} {
		assert.ErrorContains(t, c.err, c.want, about)
	}
	assert.PanicsWithValue(t, "hookplugins: struct {} has no hook of a container plugin with the receiver it is registered with",
		func() { hookplugins.RegisterContainerPlugin(struct{}{}) })
}

func second[T any](_ T, err error) error { return err }

func FuzzABody(f *testing.F) {
	f.Add(`{"HostConfig": {}, "Env": ["A=b"]}`)
	f.Add(`null`)
	f.Fuzz(func(t *testing.T, body string) {
		if body == "" {
			return
		}
		p, err := hookplugins.Container(&first{changed: body})
		require.NoError(t, err)
		c := config()
		if err := p.PreCreate(t.Context(), c); err != nil {
			assert.Equal(t, config(), c)
		}
		assert.NotNil(t, c.HostConfig)
		assert.NotNil(t, c.NetworkingConfig)
	})
}

type oldCri struct{}

func (oldCri) PreCreateContainer(c *types.ContainerCreateConfig, sandbox interface{}) error {
	c.User = sandbox.(*types.SandboxMeta).Name
	return nil
}

type oldVolume struct{}

func (oldVolume) PreVolumeCreate(v *types.VolumeCreateConfig) error { v.Driver = "old"; return nil }

func TestThePodAndTheVolumeBeforeContexts(t *testing.T) {
	p, err := hookplugins.Cri(oldCri{})
	require.NoError(t, err)
	c := config()
	require.NoError(t, p.PreCreateContainer(t.Context(), c, &types.SandboxMeta{Name: "pod"}))
	assert.Equal(t, "pod", c.User)

	v, err := hookplugins.Volume(oldVolume{})
	require.NoError(t, err)
	volume := &types.VolumeCreateConfig{}
	require.NoError(t, v.PreVolumeCreate(t.Context(), volume))
	assert.Equal(t, "old", volume.Driver)
}
