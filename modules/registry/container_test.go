package registry_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/api/types/network"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pouchfx/pouchfx/modules/registry"
	"github.com/pouchfx/pouchfx/networktypes"
	"github.com/pouchfx/pouchfx/types"
)

func TestPreCreateMustLeaveWhatTheEngineReliesOn(t *testing.T) {
	for field, change := range map[string]func(*types.ContainerCreateConfig){
		"HostConfig":       func(c *types.ContainerCreateConfig) { c.HostConfig = nil },
		"NetworkingConfig": func(c *types.ContainerCreateConfig) { c.NetworkingConfig = nil },
	} {
		c := containersOf(t, reg("p", &plugin{preCreate: func(_ context.Context, c *types.ContainerCreateConfig) error {
			change(c)
			return nil
		}}))
		assert.ErrorContains(t, c.PreCreate(t.Context(), createConfig()), `plugin "p": PreCreate: it set `+field+` to nil`)
	}
}

func container() *types.Container {
	return &types.Container{Config: &types.ContainerConfig{}, HostConfig: &types.HostConfig{}}
}

func hooks(priorities []int, args ...[]string) *plugin {
	return &plugin{preStart: func(c *types.Container) ([]int, [][]string, error) {
		c.Config.Env = append(c.Config.Env, "started")
		return priorities, args, nil
	}}
}

func TestPreStartCollectsTheRuntimeHooksOfAll(t *testing.T) {
	c := containersOf(t,
		reg("a", hooks([]int{1, -5}, []string{"/bin/sh", "sh", "-c", "a"}, []string{"/bin/sh"})),
		reg("b", hooks([]int{7}, []string{"/bin/sh", "b"})))
	started := container()
	priorities, args, err := c.PreStart(t.Context(), started)
	require.NoError(t, err)
	assert.Equal(t, []int{1, -5, 7}, priorities)
	assert.Equal(t, []string{"started", "started"}, started.Config.Env)

	sorted, err := registry.RuntimeHooks(priorities, args)
	require.NoError(t, err)
	assert.Equal(t, []registry.RuntimeHook{
		{Priority: 7, Path: "/bin/sh", Args: []string{"b"}},
		{Priority: 1, Path: "/bin/sh", Args: []string{"sh", "-c", "a"}},
		{Priority: -5, Path: "/bin/sh", Args: []string{"/bin/sh"}},
	}, sorted)
}

func TestRuntimeHooksOfOnePriorityKeepTheirOrder(t *testing.T) {
	sorted, err := registry.RuntimeHooks([]int{0, 0, 0}, [][]string{{"/bin/sh", "1"}, {"/bin/sh", "2"}, {"/bin/sh", "3"}})
	require.NoError(t, err)
	for i, want := range []string{"1", "2", "3"} {
		assert.Equal(t, want, sorted[i].Args[0])
	}
}

func TestPreStartRefusesResultsThatMeanNothing(t *testing.T) {
	for want, p := range map[string]*plugin{
		"2 priorities for 1 runtime hooks": hooks([]int{1, 2}, []string{"/bin/sh"}),
		"runtime hook 0 is empty":          hooks([]int{1}, nil),
		`the path "sh" is relative`:        hooks([]int{1}, []string{"sh"}),
		"no such file or directory":        hooks([]int{1}, []string{"/no/such"}),
		"/bin is not an executable file":   hooks([]int{1}, []string{"/bin"}),
		"it set Config or HostConfig": {preStart: func(c *types.Container) ([]int, [][]string, error) {
			c.Config = nil
			return nil, nil, nil
		}},
	} {
		started := container()
		_, _, err := containersOf(t, reg("p", p)).PreStart(t.Context(), started)
		assert.ErrorContains(t, err, `plugin "p": PreStart: `)
		assert.ErrorContains(t, err, want)
		assert.Empty(t, started.Config.Env)
	}
}

func TestPreStartRefusesWhatIsNoContainer(t *testing.T) {
	_, _, err := containersOf(t).PreStart(t.Context(), "x")
	assert.ErrorContains(t, err, "want a *types.Container")
}

func TestPreCreateEndpointGivesEachPluginItsOwnEnv(t *testing.T) {
	writes := func(env []string, e *networktypes.Endpoint) error {
		env[0] = "changed"
		e.EndpointConfig.Aliases = append(e.EndpointConfig.Aliases, "x")
		return nil
	}
	reads := func(env []string, _ *networktypes.Endpoint) error {
		assert.Equal(t, []string{"A=1"}, env)
		return nil
	}
	c := containersOf(t, reg("a", &plugin{preEndpoint: writes}), reg("b", &plugin{preEndpoint: reads}))
	endpoint := &networktypes.Endpoint{EndpointConfig: &network.EndpointSettings{}}
	require.NoError(t, c.PreCreateEndpoint(t.Context(), "id", []string{"A=1"}, endpoint))
	assert.Equal(t, []string{"x"}, endpoint.EndpointConfig.Aliases)
}

// closer tells whether it was closed.
type closer struct {
	io.Reader
	closed bool
}

func (c *closer) Close() error {
	c.closed = true
	return nil
}

func body(s string) *closer { return &closer{Reader: strings.NewReader(s)} }

// replaces returns a plugin whose PreUpdate reads its body and adds s.
func replaces(s string, made *closer) *plugin {
	return &plugin{preUpdate: func(r io.ReadCloser) (io.ReadCloser, error) {
		content, err := io.ReadAll(r)
		made.Reader = bytes.NewReader(append(content, s...))
		return made, err
	}}
}

func TestPreUpdateHandsTheBodyFromPluginToPluginAndClosesAll(t *testing.T) {
	original, first, second := body("0"), &closer{}, &closer{}
	c := containersOf(t, reg("a", replaces("a", first)), reg("b", &plugin{}), reg("c", replaces("c", second)))
	result, err := c.PreUpdate(t.Context(), original)
	require.NoError(t, err)
	content, err := io.ReadAll(result)
	require.NoError(t, err)
	assert.Equal(t, "0ac", string(content))
	for _, r := range []*closer{original, first, second} {
		assert.True(t, r.closed)
	}
}

func TestAnIgnoredFailureOfPreUpdateLeavesTheBodyWhole(t *testing.T) {
	reads := &plugin{preUpdate: func(r io.ReadCloser) (io.ReadCloser, error) {
		_, _ = io.ReadAll(r)
		return nil, errors.New("no")
	}}
	result, err := containersOf(t, reg("p", reads, ignore)).PreUpdate(t.Context(), body("whole"))
	require.NoError(t, err)
	content, _ := io.ReadAll(result)
	assert.Equal(t, "whole", string(content))
}

func TestPreUpdateRefusesReadersThatCannotBeUsed(t *testing.T) {
	var typedNil *closer
	for want, r := range map[string]io.ReadCloser{
		"it returned a nil reader": nil,
		"panic: ":                  typedNil,
		"larger than 4 MiB":        &closer{Reader: endless{}},
		"broken":                   &closer{Reader: broken{}},
	} {
		p := &plugin{preUpdate: func(io.ReadCloser) (io.ReadCloser, error) { return r, nil }}
		_, err := containersOf(t, reg("p", p)).PreUpdate(t.Context(), body("{}"))
		assert.ErrorContains(t, err, `plugin "p": PreUpdate: `)
		assert.ErrorContains(t, err, want)
	}
}

func TestAReaderThatNeverAnswersIsAbandoned(t *testing.T) {
	reader, writer := io.Pipe()
	defer writer.Close()
	p := &plugin{preUpdate: func(io.ReadCloser) (io.ReadCloser, error) { return reader, nil }}
	_, err := containersOf(t, reg("p", p, hasty)).PreUpdate(t.Context(), body("{}"))
	assert.ErrorContains(t, err, `plugin "p": PreUpdate: abandoned: no answer within 1ms`)
}

func TestPreUpdateRefusesABodyThatIsTooLarge(t *testing.T) {
	_, err := containersOf(t).PreUpdate(t.Context(), &closer{Reader: endless{}})
	assert.ErrorContains(t, err, "larger than 4 MiB")
	assert.True(t, errdefs.IsInvalidArgument(err))
	_, err = containersOf(t).PreUpdate(t.Context(), nil)
	assert.True(t, errdefs.IsInvalidArgument(err))
}

type endless struct{}

func (endless) Read(p []byte) (int, error) { return len(p), nil }

type broken struct{}

func (broken) Read([]byte) (int, error) { return 0, errors.New("broken") }

func TestPostUpdateGivesEachPluginItsOwnEnv(t *testing.T) {
	writes := &plugin{postUpdate: func(env []string) error { env[0] = "changed"; return nil }}
	reads := &plugin{postUpdate: func(env []string) error { assert.Equal(t, []string{"A=1"}, env); return nil }}
	env := []string{"A=1"}
	require.NoError(t, containersOf(t, reg("a", writes), reg("b", reads)).PostUpdate(t.Context(), "/rootfs", env))
	assert.Equal(t, []string{"A=1"}, env)
}
