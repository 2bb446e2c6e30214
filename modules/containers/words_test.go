package containers

import (
	"testing"
	"time"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/network"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pouchfx/pouchfx/types"
)

func TestNames(t *testing.T) {
	for _, good := range []string{"ab", "/ab", "a.b-c_d", "0x"} {
		_, err := cleanName(good)
		require.NoError(t, err, good)
	}
	for _, bad := range []string{"a", "", "/", "-a", "../x", "a b", "a/b", "ä1", "a\n"} {
		_, err := cleanName(bad)
		require.ErrorIs(t, err, errdefs.ErrInvalidArgument, bad)
	}
	for range 100 {
		_, err := cleanName(inventName())
		require.NoError(t, err)
		assert.Regexp(t, validID(), newID())
	}
}

func TestContainersAreFoundByIdPrefixAndName(t *testing.T) {
	x := newIndex()
	add := func(id, name string) {
		require.NoError(t, x.reserve(name))
		require.NoError(t, x.add(newCtr(id, &record{Name: name}, nil)))
	}
	add("aaaa1", "one")
	add("aaab2", "two")
	add("b", "aaaa") // a name goes before a prefix
	for ref, want := range map[string]string{"aaaa1": "aaaa1", "aaab": "aaab2", "one": "aaaa1", "/two": "aaab2", "aaaa": "b"} {
		c, err := x.get(ref)
		require.NoError(t, err, ref)
		assert.Equal(t, want, c.id, ref)
	}
	_, err := x.get("aaa")
	require.ErrorIs(t, err, errdefs.ErrInvalidArgument)
	for _, ref := range []string{"", "c", "aaac", "/"} {
		_, err = x.get(ref)
		require.ErrorIs(t, err, errdefs.ErrNotFound, ref)
	}
	require.ErrorIs(t, x.reserve("one"), errdefs.ErrConflict)
	c, _ := x.get("one")
	x.remove(c)
	require.NoError(t, x.reserve("one"))
}

func TestRestartPolicies(t *testing.T) {
	policy := func(name container.RestartPolicyMode, count int) types.RestartPolicy {
		return types.RestartPolicy{Name: name, MaximumRetryCount: count}
	}
	for _, c := range []struct {
		p    types.RestartPolicy
		st   state
		want bool
	}{
		{policy("", 0), state{ExitCode: 1}, false},
		{policy("no", 0), state{ExitCode: 1}, false},
		{policy("always", 0), state{}, true},
		{policy("always", 0), state{Stopped: true}, false},
		{policy("unless-stopped", 0), state{}, true},
		{policy("on-failure", 0), state{}, false},
		{policy("on-failure", 0), state{ExitCode: 1, RestartCount: 99}, true},
		{policy("on-failure", 2), state{ExitCode: 1, RestartCount: 1}, true},
		{policy("on-failure", 2), state{ExitCode: 1, RestartCount: 2}, false},
	} {
		assert.Equal(t, c.want, shouldRestart(c.p, c.st), "%+v", c)
	}
	now := time.Now()
	for count, want := range map[int]time.Duration{0: 100 * time.Millisecond, 1: 200 * time.Millisecond, 9: 51200 * time.Millisecond, 10: time.Minute, 1000: time.Minute} {
		assert.Equal(t, want, backoff(state{StartedAt: now, FinishedAt: now, Quick: count, RestartCount: 99}))
	}
	assert.True(t, lasted(state{StartedAt: now, FinishedAt: now.Add(11 * time.Second)}))
	assert.False(t, lasted(state{StartedAt: now, FinishedAt: now.Add(9 * time.Second)}))
}

func TestWaitConditions(t *testing.T) {
	var w waiters
	exit, gone := w.add(false), w.add(true)
	w.answer(3, false)
	assert.EqualValues(t, 3, (<-exit.answer).StatusCode)
	select {
	case <-gone.answer:
		t.Fatal("it is not gone")
	default:
	}
	w.answer(3, true)
	assert.EqualValues(t, 3, (<-gone.answer).StatusCode)
	dropped := w.add(false)
	w.drop(dropped)
	w.drop(dropped)
	_, ok := <-dropped.answer
	assert.False(t, ok)
	last := w.add(true)
	w.closeAll()
	_, ok = <-last.answer
	assert.False(t, ok)
}

func TestStatusTexts(t *testing.T) {
	now := time.Now()
	st := state{StartedAt: now.Add(-3 * time.Minute), FinishedAt: now.Add(-time.Minute), ExitCode: 4}
	for status, want := range map[container.ContainerState]string{
		statusRunning: "Up 3 minutes", statusPaused: "Up 3 minutes (Paused)", statusExited: "Exited (4) About a minute ago",
		statusRestarting: "Restarting (4) About a minute ago", statusCreated: "Created", statusRemoving: "Removal In Progress",
	} {
		assert.Equal(t, want, statusText(st, status, nil, now))
	}
	for status, want := range map[container.HealthStatus]string{
		container.Starting: "Up 3 minutes (health: starting)", container.Healthy: "Up 3 minutes (healthy)", container.Unhealthy: "Up 3 minutes (unhealthy)",
	} {
		assert.Equal(t, want, statusText(st, statusRunning, &container.Health{Status: status}, now))
	}
}

func TestRefusedSettings(t *testing.T) {
	valid := func(change func(*types.ContainerCreateConfig)) error {
		c := &types.ContainerCreateConfig{HostConfig: &types.HostConfig{}, NetworkingConfig: &types.NetworkingConfig{}}
		change(c)
		_, err := validate(c)
		return err
	}
	for name, change := range map[string]func(*types.ContainerCreateConfig){
		"memory":    func(c *types.ContainerCreateConfig) { c.HostConfig.Memory = 1 },
		"swap":      func(c *types.ContainerCreateConfig) { c.HostConfig.MemorySwap = 1 << 30 },
		"env":       func(c *types.ContainerCreateConfig) { c.Env = []string{"=x"} },
		"directory": func(c *types.ContainerCreateConfig) { c.WorkingDir = "rel" },
		"id":        func(c *types.ContainerCreateConfig) { c.SpecificID = "../../x" },
		"restart":   func(c *types.ContainerCreateConfig) { c.HostConfig.RestartPolicy.Name = "perhaps" },
		"rm": func(c *types.ContainerCreateConfig) {
			c.HostConfig.AutoRemove, c.HostConfig.RestartPolicy.Name = true, "always"
		},
		"cpuset": func(c *types.ContainerCreateConfig) { c.HostConfig.CpusetCpus = "2-1" },
		"signal": func(c *types.ContainerCreateConfig) { c.StopSignal = "SIGNOTHING" },
		"cgroup": func(c *types.ContainerCreateConfig) { c.HostConfig.CgroupParent = "/a/../.." },
		"log option": func(c *types.ContainerCreateConfig) {
			c.HostConfig.LogConfig.Config = map[string]string{"max-size": "x"}
		},
		"host": func(c *types.ContainerCreateConfig) { c.HostConfig.ExtraHosts = []string{"name"} },
	} {
		assert.ErrorIs(t, valid(change), errdefs.ErrInvalidArgument, name)
	}
	for name, change := range map[string]func(*types.ContainerCreateConfig){
		"StorageOpt": func(c *types.ContainerCreateConfig) { c.HostConfig.StorageOpt = map[string]string{"size": "1g"} },
		"gpus": func(c *types.ContainerCreateConfig) {
			c.HostConfig.DeviceRequests = []container.DeviceRequest{{Count: -1}}
		},
		"MacAddress": connected("none", &network.EndpointSettings{MacAddress: network.HardwareAddr{2, 0, 0, 0, 0, 1}}),
		"Aliases":    connected("none", &network.EndpointSettings{Aliases: []string{"db"}}),
		"Links": func(c *types.ContainerCreateConfig) {
			c.HostConfig.NetworkMode, c.HostConfig.Links = "bridge", []string{"x:y"}
		},
		"syslog": func(c *types.ContainerCreateConfig) { c.HostConfig.LogConfig.Type = "syslog" },
	} {
		err := valid(change)
		assert.ErrorIs(t, err, errdefs.ErrNotImplemented, name)
		assert.ErrorContains(t, err, name)
	}
	require.NoError(t, valid(func(*types.ContainerCreateConfig) {}))
	require.NoError(t, valid(connected("none", &network.EndpointSettings{})))
}

// connected asks for the network mode of that name, and for an endpoint of it.
func connected(name container.NetworkMode, e *network.EndpointSettings) func(*types.ContainerCreateConfig) {
	return func(c *types.ContainerCreateConfig) {
		c.HostConfig.NetworkMode = name
		c.NetworkingConfig.EndpointsConfig = map[string]*network.EndpointSettings{string(name): e}
	}
}

func TestABadUpdateNamesItsKey(t *testing.T) {
	for text, want := range map[string]string{
		`{"Memory":"x"}`: "invalid JSON: Memory: cannot use string", ``: "invalid JSON: got EOF while reading request body", `{}{}`: "unexpected content after JSON",
	} {
		_, err := decodeUpdate([]byte(text))
		require.ErrorIs(t, err, errdefs.ErrInvalidArgument, text)
		assert.ErrorContains(t, err, want)
	}
}

func TestPSOutputIsPickedByPid(t *testing.T) {
	top, err := parsePS("UID PID CMD\nroot 1 init\nroot 22 sh -c x y\n", []int{22})
	require.NoError(t, err)
	assert.Equal(t, [][]string{{"root", "22", "sh -c x y"}}, top.Processes)
	_, err = parsePS("CMD\nx\n", []int{1})
	require.ErrorIs(t, err, errdefs.ErrInvalidArgument)
}

func FuzzDecodeUpdate(f *testing.F) {
	f.Add([]byte(`{"Memory":1,"Env":["A=b"],"RestartPolicy":{"Name":"always"}}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		u, err := decodeUpdate(text)
		if err != nil {
			require.ErrorIs(t, err, errdefs.ErrInvalidArgument)
			return
		}
		var r types.Resources
		_ = mergeResources(&r, &u.Resources)
	})
}
