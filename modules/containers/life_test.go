package containers

import (
	"context"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/api/types/container"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pouchfx/pouchfx/modules/filters"
	"github.com/pouchfx/pouchfx/types"
)

func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	require.Eventually(t, ok, 30*time.Second, 5*time.Millisecond, what)
}

func TestAContainersLife(t *testing.T) {
	f := newFixture(t, nil)
	ctx := t.Context()

	t.Run("names are unique and can be changed", func(t *testing.T) {
		id := f.create(t, "one", nil, "true")
		_, err := f.tryCreate(t, "/one", nil, "true")
		require.ErrorIs(t, err, errdefs.ErrConflict)
		assert.Contains(t, err.Error(), `The container name "/one" is already in use by container "`+id)
		require.NoError(t, f.Rename(ctx, "one", "two"))
		assert.Equal(t, "/two", f.inspect(t, id[:12]).Name)
		require.ErrorIs(t, f.Remove(ctx, "two", RemoveOptions{Link: true, Force: true}), errdefs.ErrConflict)
		assert.EqualError(t, f.Remove(ctx, "two/one", RemoveOptions{Link: true}), "No such container: two/one")
		require.NoError(t, f.Remove(ctx, "two", RemoveOptions{}))
		_, err = f.Inspect(ctx, "two", false)
		require.ErrorIs(t, err, errdefs.ErrNotFound)
		assert.EqualError(t, err, "No such container: two")
	})
	t.Run("of many creates with one name one wins", func(t *testing.T) {
		var wins, losses int
		var mu sync.Mutex
		var all sync.WaitGroup
		for range 8 {
			all.Go(func() {
				_, err := f.tryCreate(t, "contested", nil, "true")
				mu.Lock()
				defer mu.Unlock()
				if err == nil {
					wins++
				} else if assert.ErrorIs(t, err, errdefs.ErrConflict) {
					losses++
				}
			})
		}
		all.Wait()
		assert.Equal(t, 1, wins)
		assert.Equal(t, 7, losses)
		require.NoError(t, f.Remove(ctx, "contested", RemoveOptions{}))
	})
	t.Run("stop, start, kill, restart, pause", func(t *testing.T) {
		id := f.create(t, "", nil, "sleep", "300")
		require.NoError(t, f.Service.Start(ctx, id))
		require.ErrorIs(t, f.Service.Start(ctx, id), errdefs.ErrNotModified)
		require.ErrorIs(t, f.Remove(ctx, id, RemoveOptions{}), errdefs.ErrConflict)
		require.NoError(t, f.Pause(ctx, id))
		require.ErrorIs(t, f.Pause(ctx, id), errdefs.ErrConflict)
		assert.Equal(t, statusPaused, f.inspect(t, id).State.Status)
		require.NoError(t, f.Unpause(ctx, id))
		first := f.inspect(t, id).State
		zero := 0
		require.NoError(t, f.Restart(ctx, id, &zero, ""))
		second := f.inspect(t, id).State
		assert.True(t, second.Running)
		assert.NotEqual(t, first.Pid, second.Pid)
		top, err := f.Top(ctx, id, "")
		require.NoError(t, err)
		assert.Len(t, top.Processes, 1)
		require.NoError(t, f.Kill(ctx, id, "KILL"))
		assert.Equal(t, 137, f.inspect(t, id).State.ExitCode)
		require.ErrorIs(t, f.Kill(ctx, id, ""), errdefs.ErrConflict)
		require.ErrorIs(t, f.Service.Stop(ctx, id, nil, ""), errdefs.ErrNotModified)
		require.NoError(t, f.Service.Start(ctx, id))
		require.NoError(t, f.Service.Stop(ctx, id, &zero, ""))
		require.NoError(t, f.Remove(ctx, id, RemoveOptions{}))
	})
	t.Run("a killed container that was paused ends", func(t *testing.T) {
		id := f.create(t, "", nil, "sleep", "300")
		require.NoError(t, f.Service.Start(ctx, id))
		require.NoError(t, f.Pause(ctx, id))
		require.NoError(t, f.Remove(ctx, id, RemoveOptions{Force: true}))
	})
	t.Run("AutoRemove answers those who wait for the removal", func(t *testing.T) {
		id := f.create(t, "", func(c *types.ContainerCreateConfig) { c.HostConfig.AutoRemove = true }, "sh", "-c", "exit 4")
		wait, err := f.Wait(ctx, id, container.WaitConditionRemoved)
		require.NoError(t, err)
		require.NoError(t, f.Service.Start(ctx, id))
		assert.Equal(t, 4, receive(t, wait))
		_, err = f.Inspect(ctx, id, false)
		require.ErrorIs(t, err, errdefs.ErrNotFound)
	})
	t.Run("a policy restarts what fails, as often as it says", func(t *testing.T) {
		id := f.create(t, "", func(c *types.ContainerCreateConfig) {
			c.HostConfig.RestartPolicy = types.RestartPolicy{Name: container.RestartPolicyOnFailure, MaximumRetryCount: 2}
		}, "sh", "-c", "echo run; exit 1")
		require.NoError(t, f.Service.Start(ctx, id))
		eventually(t, "restarts", func() bool {
			r := f.inspect(t, id)
			return r.RestartCount == 2 && r.State.Status == statusExited
		})
		assert.Equal(t, "run\nrun\nrun\n", f.logs(t, id, LogsOptions{Tail: -1}).text(1))
		require.NoError(t, f.Remove(ctx, id, RemoveOptions{}))
	})
	t.Run("a stopped container is not restarted by its policy", func(t *testing.T) {
		id := f.create(t, "", func(c *types.ContainerCreateConfig) { c.HostConfig.RestartPolicy.Name = container.RestartPolicyAlways }, "sh", "-c", "exit 1")
		require.NoError(t, f.Service.Start(ctx, id))
		eventually(t, "a restart", func() bool { return f.inspect(t, id).RestartCount > 0 })
		eventually(t, "a longer wait", func() bool { return f.inspect(t, id).RestartCount > 2 && f.inspect(t, id).State.Restarting })
		require.ErrorContains(t, f.Remove(ctx, id, RemoveOptions{}), "container is restarting: stop the container before removing")
		err := f.Service.Stop(ctx, id, nil, "")
		require.True(t, err == nil || errdefs.IsNotModified(err), "%v", err)
		eventually(t, "the end", func() bool { return f.inspect(t, id).State.Status == statusExited })
		require.NoError(t, f.Remove(ctx, id, RemoveOptions{}))
	})
	t.Run("a stop wins over a restart at whatever moment", func(t *testing.T) {
		for i := range 12 {
			id := f.create(t, "", func(c *types.ContainerCreateConfig) { c.HostConfig.RestartPolicy.Name = container.RestartPolicyAlways }, "sh", "-c", "exit 1")
			require.NoError(t, f.Service.Start(ctx, id))
			time.Sleep(time.Duration(i) * 20 * time.Millisecond) // that is the moment
			err := f.Service.Stop(ctx, id, nil, "")
			require.True(t, err == nil || errdefs.IsNotModified(err), "%v", err)
			c, err := f.Service.index.get(id)
			require.NoError(t, err)
			r, planned := c.unplan()
			assert.Nil(t, r, "after %d0 ms", 2*i)
			assert.False(t, planned, "after %d0 ms", 2*i)
			assert.Equal(t, statusExited, f.inspect(t, id).State.Status)
			require.NoError(t, f.Remove(ctx, id, RemoveOptions{}))
		}
	})
	t.Run("volumes get the image's content and go with the container", func(t *testing.T) {
		id := f.create(t, "", func(c *types.ContainerCreateConfig) {
			c.Volumes = map[string]struct{}{"/vol": {}}
			c.HostConfig.Binds = []string{"named:/data"}
		}, "sh", "-c", "cat /vol/from-image; echo kept > /data/file")
		mounts := f.inspect(t, id).Mounts
		require.Len(t, mounts, 2)
		assert.Equal(t, 0, f.startAndWait(t, id))
		assert.Equal(t, "from the image\n", f.logs(t, id, LogsOptions{Tail: -1}).text(1))
		require.ErrorIs(t, f.volumes.Remove(ctx, "named", false), errdefs.ErrConflict)
		require.NoError(t, f.Remove(ctx, id, RemoveOptions{Volumes: true}))
		list, err := f.volumes.List(ctx, nil)
		require.NoError(t, err)
		require.Len(t, list.Volumes, 1)
		text, err := os.ReadFile(filepath.Join(list.Volumes[0].Mountpoint, "file"))
		require.NoError(t, err)
		assert.Equal(t, "kept\n", string(text))
	})
	t.Run("list filters", func(t *testing.T) {
		a := f.create(t, "aa", func(c *types.ContainerCreateConfig) { c.Labels = map[string]string{"k": "v"} }, "true")
		b := f.create(t, "bb", nil, "sleep", "300")
		require.NoError(t, f.Service.Start(ctx, b))
		for text, want := range map[string][]string{
			`{"label":["k=v"]}`: {a}, `{"name":["a+"]}`: {a}, `{"status":["created"]}`: {a}, `{"status":["running"]}`: {b},
			`{"ancestor":["box"]}`: {b, a}, `{"before":["bb"]}`: {a}, `{"since":["aa"]}`: {b}, `{"id":["` + a[:8] + `"]}`: {a},
			`{"network":["none"]}`: {b, a}, `{"volume":["/x"]}`: nil,
		} {
			args, err := filters.Parse(text)
			require.NoError(t, err)
			list, err := f.List(ctx, ListOptions{All: true, Filters: args})
			require.NoError(t, err)
			var got []string
			for _, s := range list {
				got = append(got, s.ID)
			}
			assert.Equal(t, want, got, text)
		}
		require.NoError(t, f.Remove(ctx, a, RemoveOptions{}))
		require.NoError(t, f.Remove(ctx, b, RemoveOptions{Force: true}))
	})
	t.Run("update changes the cgroup and the record", func(t *testing.T) {
		id := f.create(t, "", func(c *types.ContainerCreateConfig) { c.HostConfig.Memory = 64 << 20 }, "sleep", "300")
		require.NoError(t, f.Service.Start(ctx, id))
		_, err := f.Update(ctx, id, io.NopCloser(strings.NewReader(`{"Memory":134217728,"MemorySwap":-1,"RestartPolicy":{"Name":"always"},"Env":["X=y"]}`)))
		require.NoError(t, err)
		host := f.inspect(t, id).HostConfig
		assert.EqualValues(t, 128<<20, host.Memory)
		assert.True(t, host.RestartPolicy.IsAlways())
		code, out := f.exec(t, id, "cat", memoryLimit())
		assert.Zero(t, code)
		assert.Contains(t, out, "134217728")
		require.NoError(t, f.Remove(ctx, id, RemoveOptions{Force: true}))
	})
	t.Run("nothing is left", func(t *testing.T) { f.empty(t) })
}

// exec runs a command in a container and returns its exit code and output.
func (f *fixture) exec(t testing.TB, id string, cmd ...string) (int, string) {
	t.Helper()
	var out buffer
	e, err := f.ExecCreate(t.Context(), id, container.ExecCreateRequest{Cmd: cmd, AttachStdout: true, AttachStderr: true})
	require.NoError(t, err)
	err = f.ExecStart(t.Context(), e, ExecStartOptions{}, Streams{Stdout: &out, Stderr: &out}, func() {})
	info, e2 := f.ExecInspect(t.Context(), e)
	require.NoError(t, e2)
	require.NotNil(t, info.ExitCode, "%v", err)
	return *info.ExitCode, out.String()
}

// empty checks that no container and nothing of one is left.
func (f *fixture) empty(t testing.TB) {
	t.Helper()
	ctx := context.Background()
	list, err := f.List(ctx, ListOptions{All: true})
	require.NoError(t, err)
	assert.Empty(t, list)
	records, err := f.engine.Client().Containers(ctx)
	require.NoError(t, err)
	assert.Empty(t, records)
	leases, err := f.engine.Client().LeasesService().List(ctx, `labels."pouchfx/op"==create`)
	require.NoError(t, err)
	assert.Empty(t, leases)
	for _, dir := range []string{f.dir(""), f.execDir("")} {
		entries, err := os.ReadDir(dir)
		require.True(t, err == nil || os.IsNotExist(err), "%v", err)
		assert.Empty(t, entries, dir)
	}
}
