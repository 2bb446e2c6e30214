package containers

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/api/types/network"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/pouchfx/pouchfx/modules/networks"
	"github.com/pouchfx/pouchfx/networktypes"
	"github.com/pouchfx/pouchfx/plugins"
	"github.com/pouchfx/pouchfx/types"
)

func onBridge(c *types.ContainerCreateConfig) { c.HostConfig.NetworkMode = "bridge" }

func TestAContainerOnTheBridge(t *testing.T) {
	f := newFixture(t, nil)
	out, errs, code := f.run(t, onBridge, "sh", "-c", "ls /sys/class/net; cat /etc/hosts")
	require.Zero(t, code, errs)
	assert.Contains(t, out, "eth0\nlo\n")
	assert.Contains(t, out, "172.")
	assert.Empty(t, f.networks.Sandboxes())

	t.Run("a setting of an interface finds the interface", func(t *testing.T) {
		out, errs, code := f.run(t, func(c *types.ContainerCreateConfig) {
			onBridge(c)
			c.HostConfig.Sysctls = map[string]string{"net.ipv4.conf.eth0.rp_filter": "2"}
		}, "cat", "/proc/sys/net/ipv4/conf/eth0/rp_filter")
		require.Zero(t, code, errs)
		assert.Equal(t, "2\n", out)
	})
	t.Run("who is told of the end can have the port", func(t *testing.T) {
		publish := func(c *types.ContainerCreateConfig) {
			onBridge(c)
			c.HostConfig.PortBindings = network.PortMap{network.MustParsePort("80"): {{HostPort: "18070"}}}
		}
		one, two := f.create(t, "", publish, "true"), f.create(t, "", publish, "true")
		for range 3 {
			assert.Zero(t, f.startAndWait(t, one))
			assert.Zero(t, f.startAndWait(t, two))
		}
	})
}

// A start that fails, wherever that is, leaves neither a sandbox nor an address.
func TestAStartThatFailsTakesItsNetworkDown(t *testing.T) {
	r := &endpoints{}
	f := newFixture(t, r)
	for name, c := range map[string]struct {
		change func(*types.ContainerCreateConfig)
		hooks  [][]string
		fail   error
		cmd    string
		want   string
	}{
		"command":             {cmd: "/nosuch", want: "no such file"},
		"command with hooks":  {cmd: "/nosuch", want: "no such file", hooks: [][]string{{"/bin/true"}}},
		"a hook":              {cmd: "true", want: "hook", hooks: [][]string{{"/bin/false"}}},
		"PreCreateEndpoint":   {cmd: "true", want: "not today", fail: errors.New("not today")},
		"an unknown network":  {cmd: "true", want: "network later not found", change: func(c *types.ContainerCreateConfig) { c.HostConfig.NetworkMode = "later" }},
		"the user's database": {cmd: "true", want: "nobody-here", change: func(c *types.ContainerCreateConfig) { c.User = "nobody-here" }},
	} {
		t.Run(name, func(t *testing.T) {
			r.hooks, r.fail = c.hooks, c.fail
			id := f.create(t, "", func(config *types.ContainerCreateConfig) {
				onBridge(config)
				if c.change != nil {
					c.change(config)
				}
			}, c.cmd)
			before := f.inspect(t, id)
			require.ErrorContains(t, f.Service.Start(t.Context(), id), c.want)
			assert.Empty(t, f.networks.Sandboxes())
			after := f.inspect(t, id)
			assert.Equal(t, before.State.Status, after.State.Status)
			assert.Equal(t, before.NetworkSettings, after.NetworkSettings)
			require.NoError(t, f.Remove(t.Context(), id, RemoveOptions{}))
			_, waiting := f.joinings.Load(id)
			assert.False(t, waiting)
		})
	}
}

// endpoints is a plugin with runtime hooks of priority 0 that refuses endpoints.
type endpoints struct {
	plugins.ContainerBase
	hooks [][]string
	fail  error
	envs  [][]string
}

func (p *endpoints) PreStart(_ context.Context, v interface{}) ([]int, [][]string, error) {
	c := v.(*types.Container)
	c.Config.Env = append(c.Config.Env, "STARTED=yes")
	return make([]int, len(p.hooks)), p.hooks, nil
}

func (p *endpoints) PreCreateEndpoint(_ context.Context, _ string, env []string, _ *networktypes.Endpoint) error {
	p.envs = append(p.envs, env)
	return p.fail
}

func TestTheNetworkIsTheFirstOfPriorityZero(t *testing.T) {
	r := &endpoints{hooks: [][]string{{"/bin/true"}}}
	f := newFixture(t, r)
	id := f.create(t, "", onBridge, "true")
	require.Zero(t, f.startAndWait(t, id))
	loaded, err := f.engine.Client().LoadContainer(f.engine.Context(t.Context()), id)
	require.NoError(t, err)
	spec, err := loaded.Spec(f.engine.Context(t.Context()))
	require.NoError(t, err)
	require.Len(t, spec.Hooks.CreateRuntime, 2)
	assert.Equal(t, []string{"demo-daemon", "runtime-hook", "network", f.door.Path()}, spec.Hooks.CreateRuntime[0].Args)
	require.Len(t, r.envs, 1)
	assert.Contains(t, r.envs[0], "STARTED=yes", "the env is that of this start")
}

func TestSandboxesOfTheLastDaemon(t *testing.T) {
	f := newFixture(t, nil)
	running, ended := f.create(t, "", onBridge, "sleep", "300"), f.create(t, "", onBridge, "sleep", "300")
	for _, id := range []string{running, ended} {
		require.NoError(t, f.Service.Start(t.Context(), id))
	}
	before := f.inspect(t, running).NetworkSettings
	pid := f.inspect(t, ended).State.Pid
	unknown := strings.Repeat("ab", 32)
	_, err := f.networks.Open(t.Context(), networks.Sandbox{Container: unknown, Name: "lost"})
	require.NoError(t, err)

	f.shut(t)
	require.NoError(t, unix.Kill(pid, unix.SIGKILL))
	require.Eventually(t, func() bool { return unix.Kill(pid, 0) != nil }, 10*time.Second, time.Millisecond)
	f.open(t, nil)

	assert.Equal(t, before, f.inspect(t, running).NetworkSettings)
	require.Eventually(t, func() bool { return f.inspect(t, ended).State.Status == statusExited }, 10*time.Second, time.Millisecond)
	assert.Equal(t, []string{running}, f.networks.Sandboxes(), "of the ended one and of the unknown one nothing is left")
	require.NoError(t, f.Remove(t.Context(), running, RemoveOptions{Force: true}))
	assert.Empty(t, f.networks.Sandboxes())
}

func TestAConnectThatCannotBeSavedIsTakenBack(t *testing.T) {
	f := newFixture(t, nil)
	_, err := f.networks.Create(t.Context(), network.CreateRequest{Name: "mine"})
	require.NoError(t, err)
	id := f.create(t, "", onBridge, "sleep", "300")
	require.NoError(t, f.Service.Start(t.Context(), id))
	before := f.inspect(t, id).NetworkSettings
	// Without its record in the store nothing can be saved.
	ctx := f.engine.Context(t.Context())
	record, err := f.engine.Client().ContainerService().Get(ctx, id)
	require.NoError(t, err)
	require.NoError(t, f.engine.Client().ContainerService().Delete(ctx, id))
	require.Error(t, f.Connect(t.Context(), id, "mine", nil))
	assert.Equal(t, before, f.inspect(t, id).NetworkSettings)
	_, err = f.engine.Client().ContainerService().Create(ctx, record)
	require.NoError(t, err)

	require.NoError(t, f.Connect(t.Context(), id, "mine", nil))
	assert.Contains(t, f.inspect(t, id).NetworkSettings.Networks, "mine")
	f.reopen(t)
	assert.Contains(t, f.inspect(t, id).NetworkSettings.Networks, "mine")
	require.NoError(t, f.Disconnect(t.Context(), id, "mine", false))
	require.ErrorIs(t, f.Disconnect(t.Context(), id, "mine", false), errdefs.ErrNotFound)
	require.NoError(t, f.Remove(t.Context(), id, RemoveOptions{Force: true}))
}
