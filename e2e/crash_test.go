package e2e

import (
	"context"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	containerd "github.com/containerd/containerd/v2/client"
	"github.com/containerd/containerd/v2/core/leases"
	"github.com/containerd/containerd/v2/pkg/namespaces"
	cerrdefs "github.com/containerd/errdefs"
	"github.com/moby/moby/api/types/container"
	networktypes "github.com/moby/moby/api/types/network"
	"github.com/moby/moby/client"
	"github.com/moby/sys/mountinfo"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	engineapi "github.com/pouchfx/pouchfx/modules/containerd"
)

const crashRounds = 30

// storm is what the daemon acknowledged before it was killed.
type storm struct {
	mu      sync.Mutex
	known   map[string]string // container → "created", "started", "unsure" once a request went unanswered
	removed map[string]bool
}

func (s *storm) set(id, state string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.known[id] = state
}

// blow creates, starts and removes containers until the daemon is gone. Every
// container ends at once with status 7, or runs on.
func (s *storm) blow(ctx context.Context, d *daemon, worker int) {
	for i := 0; ctx.Err() == nil; i++ {
		script := "exit 7"
		if i%3 == 0 {
			script = "sleep 1000"
		}
		res, err := d.client.ContainerCreate(ctx, client.ContainerCreateOptions{
			Config: &container.Config{
				Image: "box", Cmd: []string{"sh", "-c", script}, Labels: map[string]string{"script": script},
				Volumes: map[string]struct{}{"/anonymous": {}},
			},
			HostConfig: &container.HostConfig{
				NetworkMode: []container.NetworkMode{"none", "bridge"}[worker%2], Binds: []string{fmt.Sprintf("storm%d:/data", worker)},
				PortBindings: networktypes.PortMap{networktypes.MustParsePort("80"): {{}}},
			},
		})
		if err != nil {
			return
		}
		s.set(res.ID, "created")
		if i%4 == 3 {
			continue
		}
		s.set(res.ID, "unsure")
		if _, err := d.client.ContainerStart(ctx, res.ID, client.ContainerStartOptions{}); err != nil {
			return
		}
		s.set(res.ID, "started")
		if i%2 == 0 {
			continue
		}
		s.set(res.ID, "unsure")
		if _, err := d.client.ContainerRemove(ctx, res.ID, client.ContainerRemoveOptions{Force: true, RemoveVolumes: true}); err != nil {
			return
		}
		s.mu.Lock()
		delete(s.known, res.ID)
		s.removed[res.ID] = true
		s.mu.Unlock()
	}
}

// kill -9 at random moments of a storm: what was acknowledged is there with
// its state, what was removed is gone, a container that runs goes on, and its
// log has no gap.
func TestKilledDaemonKeepsItsPromises(t *testing.T) {
	t.Run(string(embedded), func(t *testing.T) { weather(t, ownDaemon(t, built.daemon, embedded), crashRounds) })
	t.Run(string(external), func(t *testing.T) { weather(t, ownDaemon(t, built.daemon, external), crashRounds/3) })
}

// weather kills a daemon in storms.
func weather(t *testing.T, d *daemon, rounds int) {
	d.load(t, "box")
	empty := d.traces(t)
	ticker := d.create(t, "i=0; while :; do echo $i; i=$((i+1)); sleep 0.002; done")
	d.startContainer(t, ticker)
	pid := d.inspect(t, ticker).State.Pid
	require.NoError(t, waitFor(10*time.Second, func() bool { return d.logs(t, ticker, client.ContainerLogsOptions{}).stdout != "" }))

	s := &storm{known: map[string]string{}, removed: map[string]bool{}}
	for round := range rounds {
		ctx, cancel := context.WithCancel(context.Background())
		var workers sync.WaitGroup
		for w := range 3 {
			workers.Go(func() { s.blow(ctx, d, w) })
		}
		time.Sleep(time.Duration(50+rand.IntN(600)) * time.Millisecond)
		d.signal(syscall.SIGKILL)
		cancel()
		workers.Wait()
		require.NoError(t, d.start(), "round %d", round)
		s.check(t, d, round)
		if t.Failed() {
			return
		}
		if round%5 == 4 {
			s.clear(t, d)
		}
	}

	assert.Equal(t, pid, d.inspect(t, ticker).State.Pid)
	got := lines(d.logs(t, ticker, client.ContainerLogsOptions{}).stdout)
	require.Greater(t, len(got), 100)
	for i, line := range got {
		require.Equal(t, strconv.Itoa(i), line, "the log has a gap")
	}
	_, err := d.client.ContainerRemove(testContext(t), ticker, client.ContainerRemoveOptions{Force: true})
	require.NoError(t, err)
	s.clear(t, d)
	d.nothingLeft(t)
	assert.Equal(t, empty, d.traces(t), "a network is left")
}

func (s *storm) check(t *testing.T, d *daemon, round int) {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	for id, state := range s.known {
		res, err := d.client.ContainerInspect(testContext(t), id, client.ContainerInspectOptions{})
		if err == nil {
			assert.NotEqual(t, 255, res.Container.State.ExitCode, "round %d: how a process ended is known, or it never ran: %+v", round, res.Container.State)
		}
		if state == "unsure" {
			continue
		}
		if !assert.NoError(t, err, "round %d: an acknowledged container is gone", round) || state == "created" {
			continue
		}
		if res.Container.Config.Labels["script"] == "exit 7" {
			assert.EqualValues(t, 7, d.wait(t, id), "round %d: %s", round, id)
			continue
		}
		assert.True(t, res.Container.State.Running, "round %d: %s runs no more: %+v", round, id, res.Container.State)
	}
	for id := range s.removed {
		_, err := d.client.ContainerInspect(testContext(t), id, client.ContainerInspectOptions{})
		assert.True(t, cerrdefs.IsNotFound(err), "round %d: a removed container is back: %v", round, err)
	}
}

// clear removes what the storm left.
func (s *storm) clear(t *testing.T, d *daemon) {
	t.Helper()
	list, err := d.client.ContainerList(testContext(t), client.ContainerListOptions{All: true, Filters: client.Filters{}.Add("label", "script")})
	require.NoError(t, err)
	for _, c := range list.Items {
		_, err := d.client.ContainerRemove(testContext(t), c.ID, client.ContainerRemoveOptions{Force: true, RemoveVolumes: true})
		require.NoError(t, err)
	}
	volumes, err := d.client.VolumeList(testContext(t), client.VolumeListOptions{Filters: client.Filters{}.Add("label", "com.docker.volume.anonymous")})
	require.NoError(t, err)
	assert.Empty(t, volumes.Items, "anonymous volumes are left")
	clear(s.known)
	maps.DeleteFunc(s.removed, func(string, bool) bool { return true })
}

// shims returns the command lines of the shims of a daemon's containers.
func (d *daemon) shims() (lines []string) {
	for _, pid := range processesOf(d.root) {
		line, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
		if strings.Contains(string(line), "shim") {
			lines = append(lines, string(line))
		}
	}
	return lines
}

// nothingLeft checks that a daemon without containers holds no task, mount,
// snapshot, cgroup or directory of one.
func (d *daemon) nothingLeft(t *testing.T) {
	t.Helper()
	mounts, err := mountinfo.GetMounts(mountinfo.PrefixFilter(d.root))
	require.NoError(t, err)
	for _, m := range mounts {
		assert.NotContains(t, m.Mountpoint, "rootfs", "a mount is left")
	}
	var shims []string
	assert.NoError(t, waitFor(2*time.Minute, func() bool { // those that an external containerd has forgotten end by themselves
		shims = d.shims()
		return len(shims) == 0
	}), "shims are left: %q", &shims)
	for _, dir := range []string{"d/containers", "x/containers", "x/runc/pouchfx"} {
		entries, err := os.ReadDir(filepath.Join(d.root, dir))
		if !os.IsNotExist(err) {
			require.NoError(t, err)
		}
		assert.Empty(t, entries, dir)
	}
	content := filepath.Join(d.root, "d", "containerd")
	if d.kind() == external {
		content = filepath.Join(d.root, "cr")
		d.collectGarbage(t) // left alone, a stock containerd does not
	}
	assert.NoError(t, waitFor(3*time.Minute, func() bool {
		snapshots, _ := filepath.Glob(filepath.Join(content, "*overlayfs*", "snapshots", "*"))
		return len(snapshots) == 1 // the image's one layer
	}), "snapshots are left")
	cgroups, err := filepath.Glob("/sys/fs/cgroup/*/pouchfx/*/*")
	require.NoError(t, err)
	for _, c := range cgroups {
		if fi, err := os.Stat(c); err == nil && fi.IsDir() && strings.Contains(c, filepath.Base(d.root)) {
			assert.Fail(t, "a cgroup is left", c)
		}
	}
}

// collectGarbage has the external containerd remove what nothing refers to.
func (d *daemon) collectGarbage(t *testing.T) {
	t.Helper()
	c, err := containerd.New(d.containerdSocket())
	require.NoError(t, err)
	defer c.Close()
	ctx := namespaces.WithNamespace(testContext(t), engineapi.Namespace)
	lease, err := c.LeasesService().Create(ctx, leases.WithRandomID())
	require.NoError(t, err)
	require.NoError(t, c.LeasesService().Delete(ctx, lease, leases.SynchronousDelete))
}

// A container that ends while the daemon is dead has its status afterwards.
func TestExitCodesSurviveADeadDaemon(t *testing.T) {
	d := ownDaemon(t, built.daemon, embedded)
	d.load(t, "box")
	id := d.create(t, "sleep 1; exit 42")
	again := d.create(t, "sleep 1; echo ran", host(func(h *container.HostConfig) { h.RestartPolicy.Name = "always" }))
	d.startContainer(t, id)
	d.startContainer(t, again)
	d.signal(syscall.SIGKILL)
	time.Sleep(2500 * time.Millisecond) // both end with nobody there to see it
	require.NoError(t, d.start())
	assert.EqualValues(t, 42, d.wait(t, id))
	require.NoError(t, waitFor(30*time.Second, func() bool { return d.inspect(t, again).State.Running }), "the restart policy still holds")
}

// An orderly stop leaves containers running too, and the next start finds them.
func TestContainersOutliveAnOrderlyRestart(t *testing.T) {
	onOwn(t, func(t *testing.T, d *daemon) {
		d.load(t, "box")
		id := d.create(t, "i=0; while :; do echo $i; i=$((i+1)); sleep 0.02; done")
		d.startContainer(t, id)
		pid := d.inspect(t, id).State.Pid
		state := d.signal(syscall.SIGTERM)
		assert.Zero(t, state.ExitCode(), "%v\n%s", state, d.log)
		require.NoError(t, d.start())
		assert.Equal(t, pid, d.inspect(t, id).State.Pid)
		require.NoError(t, waitFor(10*time.Second, func() bool { return len(lines(d.logs(t, id, client.ContainerLogsOptions{}).stdout)) > 100 }))
		for i, line := range lines(d.logs(t, id, client.ContainerLogsOptions{}).stdout) {
			require.Equal(t, strconv.Itoa(i), line, "the log has a gap")
		}
		assert.Equal(t, "in\n", d.exec(t, id, "echo in").stdout)
	})
}

// What a container writes while no daemon is there is in its log afterwards,
// also when it has ended and there is more of it than a pipe holds.
func TestOutputOutlivesADeadDaemon(t *testing.T) {
	onOwn(t, func(t *testing.T, d *daemon) {
		d.load(t, "box")
		// What can be written before a process has to wait: a pipe's content,
		// and without a terminal as much once more between it and its shim.
		more := map[string]int{d.create(t, outputScript): 4500, d.create(t, outputScript, config(func(c *container.Config) { c.Tty = true })): 2500}
		pids := map[string]int{}
		for id := range more {
			d.startContainer(t, id)
			pids[id] = d.inspect(t, id).State.Pid
			require.NoError(t, waitFor(30*time.Second, func() bool { return strings.Contains(d.rawLogs(t, id), "line 499 of") }))
		}
		d.signal(syscall.SIGKILL)
		for id, pid := range pids {
			root := fmt.Sprintf("/proc/%d/root", pid)
			require.NoError(t, os.WriteFile(root+"/go", []byte(strconv.Itoa(500+more[id])), 0o600))
			require.NoError(t, waitFor(30*time.Second, func() bool { return syscall.Kill(pid, 0) != nil }))
		}
		require.NoError(t, d.start())
		for id := range more {
			assert.EqualValues(t, 42, d.wait(t, id))
			var want strings.Builder
			for i := range 500 + more[id] {
				fmt.Fprintf(&want, "line %d of some length\n", i)
			}
			if d.inspect(t, id).Config.Tty {
				require.Equal(t, want.String()+"last\nunfinished", strings.ReplaceAll(d.rawLogs(t, id), "\r\n", "\n"))
				continue
			}
			got := d.logs(t, id, client.ContainerLogsOptions{})
			assert.Equal(t, "last\n", got.stderr)
			require.Equal(t, want.String()+"unfinished", got.stdout)
		}
	})
}

// outputScript writes 500 lines and, when it finds in a file up to which line,
// more.
const outputScript = `i=0
while [ $i -lt 500 ]; do echo line $i of some length; i=$((i+1)); done
while [ ! -s /go ]; do sleep 0.01; done
end=$(cat /go)
while [ $i -lt $end ]; do echo line $i of some length; i=$((i+1)); done
echo last >&2
printf unfinished
exit 42`

// rawLogs reads the log of a container with a terminal, which has one stream,
// or that of another with its frames.
func (d *daemon) rawLogs(t testing.TB, id string) string {
	t.Helper()
	body, err := d.client.ContainerLogs(testContext(t), id, client.ContainerLogsOptions{ShowStdout: true, ShowStderr: true})
	require.NoError(t, err)
	defer body.Close()
	text, err := io.ReadAll(body)
	require.NoError(t, err)
	return string(text)
}
