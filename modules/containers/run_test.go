package containers

import (
	"os"
	"strings"
	"testing"

	"github.com/containerd/errdefs"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pouchfx/pouchfx/modules/containerd/containerdtest"
	"github.com/pouchfx/pouchfx/types"
)

func TestContainersRun(t *testing.T) {
	f := newFixture(t, nil)

	t.Run("output, streams and exit code are the command's", func(t *testing.T) {
		stdout, stderr, code := f.run(t, nil, "sh", "-c", "echo out; echo err >&2; exit 3")
		assert.Equal(t, "out\n", stdout)
		assert.Equal(t, "err\n", stderr)
		assert.Equal(t, 3, code)
	})
	t.Run("env, directory and user are as asked for", func(t *testing.T) {
		stdout, _, _ := f.run(t, func(c *types.ContainerCreateConfig) {
			c.Env, c.WorkingDir, c.User = []string{"A=b"}, "/tmp", "app"
		}, "sh", "-c", "echo $A $FROM_IMAGE; pwd; id")
		assert.Contains(t, stdout, "b yes\n/tmp\nuid=1000")
	})
	t.Run("the init script comes first", func(t *testing.T) {
		script := func(text string) func(*types.ContainerCreateConfig) {
			return func(c *types.ContainerCreateConfig) { c.InitScript = text }
		}
		stdout, _, code := f.run(t, script("echo first"), "sh", "-c", "echo second")
		assert.Equal(t, "first\nsecond\n", stdout)
		assert.Zero(t, code)
		stdout, _, code = f.run(t, script("echo first; exit 9"), "echo", "second")
		assert.Equal(t, "first\n", stdout)
		assert.Equal(t, 9, code)
	})
	t.Run("it is confined unless privileged", func(t *testing.T) {
		stdout, _, _ := f.run(t, nil, "cat", "/proc/self/status")
		assert.Contains(t, stdout, "CapEff:\t00000000a80425fb")
		stdout, _, _ = f.run(t, func(c *types.ContainerCreateConfig) { c.HostConfig.Privileged = true }, "cat", "/proc/self/status")
		assert.NotContains(t, stdout, "CapEff:\t00000000a80425fb")
		assert.Contains(t, stdout, "Seccomp:\t0")
	})
	t.Run("a command that is not there is 127 and the client's fault", func(t *testing.T) {
		id := f.create(t, "missing", nil, "nosuch")
		err := f.Service.Start(t.Context(), id)
		require.ErrorIs(t, err, errdefs.ErrInvalidArgument)
		assert.Contains(t, err.Error(), "executable file not found")
		state := f.inspect(t, id).State
		assert.Equal(t, 127, state.ExitCode)
		assert.Equal(t, statusCreated, state.Status)
		require.NoError(t, f.Remove(t.Context(), id, RemoveOptions{}))
	})
	t.Run("a user who is not there is the client's fault", func(t *testing.T) {
		id := f.create(t, "", func(c *types.ContainerCreateConfig) { c.User = "nosuch" }, "true")
		require.EqualError(t, f.Service.Start(t.Context(), id), "unable to find user nosuch: no matching entries in passwd file")
		require.NoError(t, f.Remove(t.Context(), id, RemoveOptions{}))
	})
	t.Run("the host's message queues are there", func(t *testing.T) {
		_, stderr, code := f.run(t, func(c *types.ContainerCreateConfig) { c.HostConfig.IpcMode = "host" }, "ls", "/dev/mqueue")
		assert.Zero(t, code, stderr)
	})
	t.Run("limits are in the cgroup", func(t *testing.T) {
		stdout, stderr, _ := f.run(t, func(c *types.ContainerCreateConfig) { c.HostConfig.Memory = 64 << 20 },
			"cat", memoryLimit())
		assert.Contains(t, stdout, "67108864", strings.TrimSpace(stderr))
	})
}

func TestContainersRunOnAnExternalContainerd(t *testing.T) {
	config := containerdtest.Config(t)
	config.Address = containerdtest.StockContainerd(t)
	f := newFixtureOn(t, containerdtest.Start(t, config), config, nil)
	id := f.create(t, "", func(c *types.ContainerCreateConfig) { c.HostConfig.Binds = []string{"named:/data"} }, "sh", "-c", "echo out; exit 3")
	assert.Equal(t, 3, f.startAndWait(t, id))
	assert.Equal(t, "out\n", f.logs(t, id, LogsOptions{Tail: -1}).text(1))
	_, err := f.tryCreate(t, "", func(c *types.ContainerCreateConfig) { c.Snapshotter = "nosuch" }, "true")
	require.Error(t, err)
	runs := f.create(t, "", nil, "sleep", "300")
	require.NoError(t, f.Service.Start(t.Context(), runs))
	f.reopen(t)
	code, out := f.exec(t, runs, "echo", "still here")
	assert.Zero(t, code)
	assert.Equal(t, "still here\n", out)
	require.NoError(t, f.Remove(t.Context(), id, RemoveOptions{}))
	require.NoError(t, f.Remove(t.Context(), runs, RemoveOptions{Force: true}))
	f.empty(t)
}

// memoryLimit is the file with a container's limit, as the container sees it.
func memoryLimit() string {
	if _, err := os.Stat("/sys/fs/cgroup/cgroup.controllers"); err == nil {
		return "/sys/fs/cgroup/memory.max"
	}
	return "/sys/fs/cgroup/memory/memory.limit_in_bytes"
}
