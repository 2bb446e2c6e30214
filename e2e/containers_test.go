package e2e

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	cerrdefs "github.com/containerd/errdefs"
	"github.com/docker/go-units"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/mount"
	"github.com/moby/moby/client"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestRunReturnsOutputAndStatus(t *testing.T) {
	onBoth(t, func(t *testing.T, d *daemon) {
		r := d.run(t, "echo out; echo err >&2; exit 3")
		assert.Equal(t, result{"out\n", "err\n", 3}, r)
	})
}

func TestConfigurationReachesTheProcess(t *testing.T) {
	memory, pids := int64(64*units.MiB), int64(50)
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "f"), []byte("host\n"), 0o644))
	cgroup := func(controller, file string) string {
		return fmt.Sprintf("cat /sys/fs/cgroup/%s/%s", controller, file)
	}
	for _, tc := range []struct {
		name, script, want string
		spec               spec
	}{
		{"env", "echo $A $FROM_IMAGE", "b yes\n", config(func(c *container.Config) { c.Env = []string{"A=b"} })},
		{"working directory is made", "echo $PWD", "/some/dir\n", config(func(c *container.Config) { c.WorkingDir = "/some/dir" })},
		{"user by name", "id", "uid=1000 gid=1000 groups=[1000 2000]\n", config(func(c *container.Config) { c.User = "app" })},
		{"user by number", "id", "uid=7 gid=8 groups=[8]\n", config(func(c *container.Config) { c.User = "7:8" })},
		{"group-add", "id", "uid=1000 gid=1000 groups=[44 1000 2000]\n", spec(func(o *client.ContainerCreateOptions) {
			o.Config.User, o.HostConfig.GroupAdd = "app", []string{"44"}
		})},
		{"hostname", "hostname; cat /etc/hostname", "box1\nbox1\n", config(func(c *container.Config) { c.Hostname = "box1" })},
		{"entrypoint", "", "entry\n", config(func(c *container.Config) { c.Entrypoint, c.Cmd = []string{"echo"}, []string{"entry"} })},
		{"read-only root", "touch /x && echo written; echo done", "done\n", host(func(h *container.HostConfig) { h.ReadonlyRootfs = true })},
		{"tmpfs", "touch /t/x && ls /t; grep '/t ' /proc/mounts | wc", "x\n", host(func(h *container.HostConfig) {
			h.ReadonlyRootfs, h.Tmpfs = true, map[string]string{"/t": "size=1m"}
		})},
		{"bind", "cat /h/f; touch /h/x", "host\n", host(func(h *container.HostConfig) { h.Binds = []string{dir + ":/h:ro"} })},
		{"mount", "cat /m/f", "host\n", host(func(h *container.HostConfig) {
			h.Mounts = []mount.Mount{{Type: mount.TypeBind, Source: dir, Target: "/m"}}
		})},
		{"memory", cgroup("memory", "memory.limit_in_bytes"), "67108864\n", host(func(h *container.HostConfig) { h.Memory = memory })},
		{"pids limit", cgroup("pids", "pids.max"), "50\n", host(func(h *container.HostConfig) { h.PidsLimit = &pids })},
		{"cpus", cgroup("cpu", "cpu.cfs_quota_us"), "50000\n", host(func(h *container.HostConfig) { h.NanoCPUs = 5e8 })},
		{"cap-drop", "grep CapEff /proc/self/status", "CapEff:\t0000000000000000\n", host(func(h *container.HostConfig) { h.CapDrop = []string{"ALL"} })},
		{"cap-add", "grep CapEff /proc/self/status", "CapEff:\t0000000000001000\n", host(func(h *container.HostConfig) {
			h.CapDrop, h.CapAdd = []string{"ALL"}, []string{"NET_ADMIN"}
		})},
		{"extra host", "grep peer /etc/hosts", "10.1.2.3\tpeer\n", host(func(h *container.HostConfig) { h.ExtraHosts = []string{"peer:10.1.2.3"} })},
		{"dns", "cat /etc/resolv.conf", "nameserver 10.9.8.7\n", host(func(h *container.HostConfig) {
			h.DNS = []netip.Addr{netip.MustParseAddr("10.9.8.7")}
		})},
		{"sysctl", "cat /proc/sys/net/ipv4/ip_forward", "1\n", host(func(h *container.HostConfig) {
			h.Sysctls = map[string]string{"net.ipv4.ip_forward": "1"}
		})},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if strings.Contains(tc.script, "/sys/fs/cgroup/") {
				if _, err := os.Stat("/sys/fs/cgroup/memory"); err != nil {
					t.Skip("this host has no cgroup v1 controllers, whose files the script reads")
				}
			}
			onBoth(t, func(t *testing.T, d *daemon) {
				r := d.run(t, tc.script, tc.spec)
				assert.Contains(t, r.stdout, tc.want, "stderr: %s", r.stderr)
			})
		})
	}
}

func TestNetworkModes(t *testing.T) {
	onBoth(t, func(t *testing.T, d *daemon) {
		own := d.run(t, "readlink /proc/self/ns/net; ls /sys/class/net")
		got := lines(own.stdout)
		hostNS, err := os.Readlink("/proc/self/ns/net")
		require.NoError(t, err)
		assert.NotEqual(t, hostNS, got[0], "network none has a namespace of its own")
		assert.Contains(t, got[1:], "lo")

		r := d.run(t, "readlink /proc/self/ns/net", host(func(h *container.HostConfig) { h.NetworkMode = "host" }))
		assert.Equal(t, hostNS+"\n", r.stdout)

		r = d.run(t, "httpd 127.0.0.1:8000 & sleep 0.2; echo $?")
		assert.Equal(t, "0\n", r.stdout, "the loopback interface is up: %s", r.stderr)
	})
}

func TestLifecycle(t *testing.T) {
	onBoth(t, func(t *testing.T, d *daemon) {
		ctx := testContext(t)
		id := d.create(t, "echo started; sleep 1000", named("life-"+string(d.kind())))
		assert.Equal(t, container.StateCreated, d.inspect(t, id).State.Status)
		d.startContainer(t, id)
		says := func(want string) {
			t.Helper()
			require.NoError(t, waitFor(time.Minute, func() bool { return d.logs(t, id, client.ContainerLogsOptions{}).stdout == want }))
		}
		says("started\n")
		state := d.inspect(t, id).State
		assert.True(t, state.Running)
		assert.Positive(t, state.Pid)

		_, err := d.client.ContainerPause(ctx, id, client.ContainerPauseOptions{})
		require.NoError(t, err)
		assert.Equal(t, container.StatePaused, d.inspect(t, id).State.Status)
		_, err = d.client.ContainerPause(ctx, id, client.ContainerPauseOptions{})
		assert.True(t, cerrdefs.IsConflict(err), "pausing twice: %v", err)
		_, err = d.client.ContainerUnpause(ctx, id, client.ContainerUnpauseOptions{})
		require.NoError(t, err)

		_, err = d.client.ContainerRename(ctx, id, client.ContainerRenameOptions{NewName: "renamed-" + id[:8]})
		require.NoError(t, err)
		assert.Equal(t, "/renamed-"+id[:8], d.inspect(t, "renamed-"+id[:8]).Name)

		zero := 0
		_, err = d.client.ContainerRestart(ctx, id, client.ContainerRestartOptions{Timeout: &zero})
		require.NoError(t, err)
		assert.True(t, d.inspect(t, id).State.Running)
		assert.NotEqual(t, state.Pid, d.inspect(t, id).State.Pid)

		_, err = d.client.ContainerRemove(ctx, id, client.ContainerRemoveOptions{})
		assert.True(t, cerrdefs.IsConflict(err), "removing a running one: %v", err)
		says("started\nstarted\n") // a PID 1 without its handler ignores SIGTERM
		limit := 20
		_, err = d.client.ContainerStop(ctx, id, client.ContainerStopOptions{Timeout: &limit})
		require.NoError(t, err)
		stopped := d.inspect(t, id).State
		assert.Equal(t, container.StateExited, stopped.Status)
		assert.Equal(t, 143, stopped.ExitCode, "box ends with 128+15 on SIGTERM")
		_, err = d.client.ContainerKill(ctx, id, client.ContainerKillOptions{})
		assert.True(t, cerrdefs.IsConflict(err), "killing a stopped one: %v", err)
		_, err = d.client.ContainerRemove(ctx, id, client.ContainerRemoveOptions{})
		require.NoError(t, err)
		_, err = d.client.ContainerInspect(ctx, id, client.ContainerInspectOptions{})
		assert.True(t, cerrdefs.IsNotFound(err), "%v", err)
	})
}

func TestAutoRemove(t *testing.T) {
	onBoth(t, func(t *testing.T, d *daemon) {
		ctx := testContext(t)
		id := d.create(t, "exit 5", host(func(h *container.HostConfig) { h.AutoRemove = true }))
		wait := d.client.ContainerWait(ctx, id, client.ContainerWaitOptions{Condition: container.WaitConditionRemoved})
		d.startContainer(t, id)
		assert.EqualValues(t, 5, exitCode(t, wait))
		_, err := d.client.ContainerInspect(ctx, id, client.ContainerInspectOptions{})
		assert.True(t, cerrdefs.IsNotFound(err), "%v", err)
	})
}

func TestRestartPolicyStartsAgain(t *testing.T) {
	onBoth(t, func(t *testing.T, d *daemon) {
		id := d.create(t, "exit 1", host(func(h *container.HostConfig) {
			h.RestartPolicy = container.RestartPolicy{Name: container.RestartPolicyOnFailure, MaximumRetryCount: 2}
		}))
		d.startContainer(t, id)
		require.NoError(t, waitFor(time.Minute, func() bool {
			i := d.inspect(t, id)
			return i.State.Status == container.StateExited && i.RestartCount == 2
		}))
	})
}

func TestUpdateReachesTheCgroup(t *testing.T) {
	if _, err := os.Stat("/sys/fs/cgroup/memory"); err != nil {
		t.Skip("this host has no cgroup v1 controllers, whose files the script reads")
	}
	onBoth(t, func(t *testing.T, d *daemon) {
		id := d.create(t, "sleep 1000")
		d.startContainer(t, id)
		_, err := d.client.ContainerUpdate(testContext(t), id, client.ContainerUpdateOptions{
			Resources:     &container.Resources{Memory: 96 * units.MiB, MemorySwap: 192 * units.MiB, NanoCPUs: 25e7},
			RestartPolicy: &container.RestartPolicy{Name: container.RestartPolicyUnlessStopped},
		})
		require.NoError(t, err)
		r := d.exec(t, id, "cat /sys/fs/cgroup/memory/memory.limit_in_bytes /sys/fs/cgroup/cpu/cpu.cfs_quota_us")
		assert.Equal(t, "100663296\n25000\n", r.stdout)
		i := d.inspect(t, id)
		assert.EqualValues(t, 96*units.MiB, i.HostConfig.Memory)
		assert.EqualValues(t, "unless-stopped", i.HostConfig.RestartPolicy.Name)

		_, err = d.client.ContainerUpdate(testContext(t), id, client.ContainerUpdateOptions{Resources: &container.Resources{Memory: 1024}})
		assert.True(t, cerrdefs.IsInvalidArgument(err), "6 MiB is the least: %v", err)
		assert.EqualValues(t, 96*units.MiB, d.inspect(t, id).HostConfig.Memory, "a refused update changes nothing")
	})
}

func TestTopListsProcesses(t *testing.T) {
	onBoth(t, func(t *testing.T, d *daemon) {
		id := d.create(t, "sleep 1000")
		d.startContainer(t, id)
		top, err := d.client.ContainerTop(testContext(t), id, client.ContainerTopOptions{})
		require.NoError(t, err)
		require.NotEmpty(t, top.Processes)
		assert.Contains(t, strings.Join(top.Processes[0], " "), "sleep 1000")
	})
}

func TestListFilters(t *testing.T) {
	onBoth(t, func(t *testing.T, d *daemon) {
		label := map[string]string{"test": t.Name(), "n": "1"}
		id := d.create(t, "sleep 1000", config(func(c *container.Config) { c.Labels = label }))
		other := d.create(t, "exit 4", config(func(c *container.Config) { c.Labels = map[string]string{"test": t.Name()} }))
		d.startContainer(t, id)
		d.startContainer(t, other)
		d.wait(t, other)
		for _, tc := range []struct {
			filters client.Filters
			want    []string
		}{
			{client.Filters{}.Add("label", "test="+t.Name()), []string{other, id}},
			{client.Filters{}.Add("label", "test="+t.Name(), "n=1"), []string{id}},
			{client.Filters{}.Add("label", "test="+t.Name()).Add("status", "exited"), []string{other}},
			{client.Filters{}.Add("label", "test="+t.Name()).Add("exited", "4"), []string{other}},
			{client.Filters{}.Add("label", "test="+t.Name()).Add("id", id[:12]), []string{id}},
			{client.Filters{}.Add("label", "test="+t.Name()).Add("ancestor", "box"), []string{other, id}},
			{client.Filters{}.Add("label", "test="+t.Name()).Add("since", id), []string{other}},
			{client.Filters{}.Add("label", "test="+t.Name()).Add("before", other), []string{id}},
		} {
			res, err := d.client.ContainerList(testContext(t), client.ContainerListOptions{All: true, Filters: tc.filters})
			require.NoError(t, err)
			var got []string
			for _, c := range res.Items {
				got = append(got, c.ID)
			}
			assert.Equal(t, tc.want, got, "%v", tc.filters)
		}
		_, err := d.client.ContainerList(testContext(t), client.ContainerListOptions{Filters: client.Filters{}.Add("nosuch", "x")})
		assert.True(t, cerrdefs.IsInvalidArgument(err), "%v", err)
	})
}

func TestNamesAreUnique(t *testing.T) {
	onBoth(t, func(t *testing.T, d *daemon) {
		id := d.create(t, "true", named("unique"))
		_, err := d.client.ContainerCreate(testContext(t), client.ContainerCreateOptions{Name: "unique", Image: "box"})
		assert.True(t, cerrdefs.IsConflict(err), "%v", err)
		assert.ErrorContains(t, err, `"/unique" is already in use by container "`+id+`"`)
		for _, bad := range []string{"../x", "-x", "a/b", "x y", "é"} {
			_, err = d.client.ContainerCreate(testContext(t), client.ContainerCreateOptions{Name: bad, Image: "box"})
			assert.True(t, cerrdefs.IsInvalidArgument(err), "%q: %v", bad, err)
		}
	})
}

func TestCreateRefusesWhatItCannotDo(t *testing.T) {
	onBoth(t, func(t *testing.T, d *daemon) {
		for _, tc := range []struct {
			name string
			spec spec
			text string
		}{
			{"device requests", host(func(h *container.HostConfig) { h.DeviceRequests = []container.DeviceRequest{{Count: -1}} }), "DeviceRequests"},
			{"storage options", host(func(h *container.HostConfig) { h.StorageOpt = map[string]string{"size": "1g"} }), "StorageOpt"},
			{"relative mount target", host(func(h *container.HostConfig) { h.Binds = []string{"/tmp:x"} }), "x"},
			{"missing bind source", host(func(h *container.HostConfig) {
				h.Mounts = []mount.Mount{{Type: mount.TypeBind, Source: "/no/such", Target: "/m"}}
			}), "/no/such"},
			{"unknown capability", host(func(h *container.HostConfig) { h.CapAdd = []string{"FLY"} }), "FLY"},
			{"too little memory", host(func(h *container.HostConfig) { h.Memory = 1024 }), "6MB"},
			{"unknown log driver", host(func(h *container.HostConfig) { h.LogConfig.Type = "nosuch" }), "nosuch"},
			{"auto-remove with a restart policy", host(func(h *container.HostConfig) {
				h.AutoRemove, h.RestartPolicy.Name = true, "always"
			}), "AutoRemove"},
		} {
			t.Run(tc.name, func(t *testing.T) {
				o := client.ContainerCreateOptions{Config: &container.Config{Image: "box"}, HostConfig: &container.HostConfig{NetworkMode: "none"}}
				tc.spec(&o)
				res, err := d.client.ContainerCreate(testContext(t), o)
				if !assert.Error(t, err) {
					d.client.ContainerRemove(testContext(t), res.ID, client.ContainerRemoveOptions{})
					return
				}
				assert.ErrorContains(t, err, tc.text)
			})
		}
		_, err := d.client.ContainerCreate(testContext(t), client.ContainerCreateOptions{Image: "nosuch:1"})
		assert.True(t, cerrdefs.IsNotFound(err), "%v", err)
		assert.ErrorContains(t, err, "No such image: nosuch:1")
	})
}

func TestStartFailureSaysWhy(t *testing.T) {
	onBoth(t, func(t *testing.T, d *daemon) {
		id := d.create(t, "", config(func(c *container.Config) { c.Cmd = []string{"nosuchcmd"} }))
		_, err := d.client.ContainerStart(testContext(t), id, client.ContainerStartOptions{})
		require.Error(t, err)
		assert.ErrorContains(t, err, "nosuchcmd")
		assert.ErrorContains(t, err, "executable file not found")
		i := d.inspect(t, id)
		assert.Equal(t, 127, i.State.ExitCode)
		assert.False(t, i.State.Running)
	})
}
