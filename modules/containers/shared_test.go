package containers

import (
	"bytes"
	"os"
	"strings"
	"testing"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/mount"
	"github.com/moby/sys/mountinfo"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pouchfx/pouchfx/types"
)

// output runs a command in a container and returns what it wrote.
func (f *fixture) output(t testing.TB, id string, cmd ...string) string {
	t.Helper()
	e, err := f.ExecCreate(t.Context(), id, container.ExecCreateRequest{Cmd: cmd, AttachStdout: true, AttachStderr: true})
	require.NoError(t, err)
	var out bytes.Buffer
	require.NoError(t, f.ExecStart(t.Context(), e, ExecStartOptions{}, Streams{Stdout: &out, Stderr: &out}, func() {}))
	return strings.TrimSpace(out.String())
}

func TestSharedMemoryOfContainers(t *testing.T) {
	f := newFixture(t, nil)
	ipc := func(mode string) func(*types.ContainerCreateConfig) {
		return func(c *types.ContainerCreateConfig) { c.HostConfig.IpcMode = container.IpcMode(mode) }
	}
	donor := f.create(t, "donor", func(c *types.ContainerCreateConfig) {
		ipc("shareable")(c)
		c.HostConfig.ShmSize = 2 << 20
	}, "sleep", "1000")
	private := f.create(t, "private", nil, "sleep", "1000")
	guest := f.create(t, "guest", ipc("container:donor"), "sleep", "1000")
	assert.ErrorContains(t, f.Service.Start(t.Context(), guest), "cannot join ipc namespace of a non running container")
	for _, id := range []string{donor, private, guest} {
		require.NoError(t, f.Service.Start(t.Context(), id))
	}
	assert.Equal(t, f.output(t, donor, "readlink", "/proc/self/ns/ipc"), f.output(t, guest, "readlink", "/proc/self/ns/ipc"))
	f.output(t, donor, "sh", "-c", "echo shared > /dev/shm/f")
	assert.Equal(t, "shared", f.output(t, guest, "cat", "/dev/shm/f"))
	assert.Contains(t, f.output(t, private, "cat", "/dev/shm/f"), "no such file")
	assert.Contains(t, f.output(t, donor, "grep", "/dev/shm", "/proc/self/mounts"), "size=2048k")
	err := f.Service.Start(t.Context(), f.create(t, "", ipc("container:private"), "true"))
	assert.EqualError(t, err, "can not join IPC of container private: non-shareable IPC (hint: use IpcMode:shareable for the donor container)")
	assert.True(t, errdefs.IsInvalidArgument(err))

	f.reopen(t)
	assert.Equal(t, "shared", f.output(t, guest, "cat", "/dev/shm/f"))
	shm := f.shmPath(donor)
	require.NoError(t, f.Remove(t.Context(), donor, RemoveOptions{Force: true}))
	mounted, err := mountinfo.GetMounts(mountinfo.SingleEntryFilter(shm))
	require.NoError(t, err)
	assert.Empty(t, mounted)
	assert.Equal(t, "shared", f.output(t, guest, "cat", "/dev/shm/f"), "who has it keeps it")

	none := f.create(t, "", ipc("none"), "ls", "/dev/shm")
	assert.NotZero(t, f.startAndWait(t, none))
}

func TestVolumesOfOtherContainers(t *testing.T) {
	f := newFixture(t, nil)
	dir := t.TempDir()
	data := f.create(t, "data", func(c *types.ContainerCreateConfig) {
		c.HostConfig.Binds = []string{"named:/named", dir + ":/bound"}
		c.HostConfig.Mounts = []mount.Mount{{Type: mount.TypeVolume, Target: "/anonymous"}, {Type: mount.TypeTmpfs, Target: "/t"}}
	}, "sh", "-c", "echo a > /anonymous/f; echo n > /named/f; echo b > /bound/f")
	assert.Zero(t, f.startAndWait(t, data))
	from := func(list ...string) func(*types.ContainerCreateConfig) {
		return func(c *types.ContainerCreateConfig) { c.HostConfig.VolumesFrom = list }
	}
	user := f.create(t, "user", from("data:ro"), "sh", "-c", "cat /anonymous/f /named/f /bound/f; echo x > /named/f || echo refused; ls /t")
	f.startAndWait(t, user)
	assert.Equal(t, "a\nn\nb\nrefused\n", f.logs(t, user, LogsOptions{Tail: -1}).text(1))
	second := f.create(t, "", from("user:rw"), "true")
	for _, m := range f.inspect(t, second).Mounts {
		assert.False(t, m.RW, "what was read-only stays so: %s", m.Destination)
	}
	_, err := f.tryCreate(t, "", from("nosuch"), "true")
	assert.EqualError(t, err, "No such container: nosuch")
	assert.True(t, errdefs.IsInvalidArgument(err), "the docker command would look for an image")
	_, err = f.tryCreate(t, "", from("data:no"), "true")
	assert.EqualError(t, err, "invalid mode: no")

	// A volume that nobody named goes with the last who has it.
	volume := ""
	for _, m := range f.inspect(t, data).Mounts {
		if m.Destination == "/anonymous" {
			volume = m.Name
		}
	}
	require.NoError(t, f.Remove(t.Context(), data, RemoveOptions{Volumes: true}))
	_, err = f.volumes.Get(t.Context(), volume)
	require.NoError(t, err)
	require.NoError(t, f.Remove(t.Context(), user, RemoveOptions{Volumes: true}))
	require.NoError(t, f.Remove(t.Context(), second, RemoveOptions{Volumes: true}))
	_, err = f.volumes.Get(t.Context(), volume)
	assert.True(t, errdefs.IsNotFound(err))
}

func TestNamespacesOfTheHostAndOfOthers(t *testing.T) {
	f := newFixture(t, nil)
	other := f.create(t, "other", nil, "sleep", "1000")
	require.NoError(t, f.Service.Start(t.Context(), other))
	read := func(change func(*types.HostConfig), ns string) string {
		t.Helper()
		out, errs, _ := f.run(t, func(c *types.ContainerCreateConfig) { change(c.HostConfig) }, "readlink", "/proc/self/ns/"+ns)
		assert.Empty(t, errs)
		return strings.TrimSpace(out)
	}
	host := func(ns string) string { return readlink(t, "/proc/self/ns/"+ns) }
	assert.Equal(t, host("ipc"), read(func(h *types.HostConfig) { h.IpcMode = "host" }, "ipc"))
	assert.Equal(t, host("uts"), read(func(h *types.HostConfig) { h.UTSMode = "host" }, "uts"))
	assert.Equal(t, host("pid"), read(func(h *types.HostConfig) { h.PidMode = "host" }, "pid"))
	assert.Equal(t, host("user"), read(func(h *types.HostConfig) { h.UsernsMode = "host" }, "user"))
	assert.Equal(t, host("cgroup"), read(func(h *types.HostConfig) { h.CgroupnsMode = "host" }, "cgroup"))
	assert.NotEqual(t, host("cgroup"), read(func(h *types.HostConfig) { h.CgroupnsMode = "private" }, "cgroup"))
	assert.Equal(t, f.output(t, other, "readlink", "/proc/self/ns/pid"), read(func(h *types.HostConfig) { h.PidMode = "container:other" }, "pid"))
	assert.NotEqual(t, host("ipc"), read(func(*types.HostConfig) {}, "ipc"))
}

func readlink(t testing.TB, path string) string {
	t.Helper()
	target, err := os.Readlink(path)
	require.NoError(t, err)
	return target
}
