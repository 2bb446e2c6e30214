package containerd_test

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/containerd/containerd/v2/core/leases"
	"github.com/containerd/containerd/v2/pkg/cio"
	"github.com/containerd/log"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/zap"
	"golang.org/x/sys/unix"

	"github.com/pouchfx/pouchfx/modules/containerd"
	"github.com/pouchfx/pouchfx/modules/containerd/assets"
	"github.com/pouchfx/pouchfx/modules/containerd/containerdtest"
)

// requireRefusal starts an engine that cannot start and checks that it says
// what to do, at once, and that nothing stays of it.
func requireRefusal(t *testing.T, c containerd.Config, texts ...string) {
	t.Helper()
	e := containerd.New(c, containerdtest.Log(t))
	start := time.Now()
	err := e.Start(t.Context())
	require.Error(t, err)
	t.Log(time.Since(start), err)
	for _, text := range texts {
		assert.ErrorContains(t, err, text)
	}
	assert.NoError(t, e.Stop(t.Context()))
}

func mountTmpfs(t *testing.T, dir, options string) {
	t.Helper()
	require.NoError(t, os.MkdirAll(dir, 0o755))
	require.NoError(t, unix.Mount("tmpfs", dir, "tmpfs", 0, options))
	t.Cleanup(func() { _ = unix.Unmount(dir, unix.MNT_DETACH) })
}

func TestStartWithoutRoot(t *testing.T) {
	if os.Getenv("AS_NOBODY") != "" {
		requireRefusal(t, containerd.Config{Root: "/tmp/nobody", State: "/tmp/nobody"}, "need root", "sudo")
		return
	}
	containerdtest.RequireRoot(t)
	// The test binary again, from a place that everybody may read.
	dir, err := os.MkdirTemp("/tmp", "px")
	require.NoError(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	require.NoError(t, os.Chmod(dir, 0o755))
	self, err := os.ReadFile("/proc/self/exe")
	require.NoError(t, err)
	binary := filepath.Join(dir, "test")
	require.NoError(t, os.WriteFile(binary, self, 0o755))
	cmd := exec.Command(binary, "-test.run", "^TestStartWithoutRoot$")
	cmd.Dir = dir
	cmd.Env = []string{"AS_NOBODY=1", "TMPDIR=/tmp"}
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s", out)
}

func TestASecondDaemonOnTheSameRoot(t *testing.T) {
	c := containerdtest.Config(t)
	containerdtest.Start(t, c)
	requireRefusal(t, c, "another daemon (process "+strconv.Itoa(os.Getpid())+") uses "+c.Root, "--data-root")
	other := c
	other.Root = c.Root + "2"
	requireRefusal(t, other, "uses "+c.State, "--exec-root")
}

func TestReadOnlyDisk(t *testing.T) {
	c := containerdtest.Config(t)
	mountTmpfs(t, filepath.Dir(c.Root), "")
	require.NoError(t, unix.Mount("", filepath.Dir(c.Root), "", unix.MS_REMOUNT|unix.MS_RDONLY, ""))
	requireRefusal(t, c, "read-only filesystem", "--data-root")
}

func TestAFileInTheWay(t *testing.T) {
	c := containerdtest.Config(t)
	file := filepath.Dir(c.Root) + "/file"
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	c.Root = filepath.Join(file, "d")
	requireRefusal(t, c, file+" is in the way and is no directory", "--data-root")
}

func TestFullDisk(t *testing.T) {
	c := containerdtest.Config(t)
	mountTmpfs(t, c.Root, "size=32k")
	require.NoError(t, os.WriteFile(filepath.Join(c.Root, "fill"), make([]byte, 28<<10), 0o600))
	requireRefusal(t, c, "is full", "--data-root")
}

func TestNoOverlayfs(t *testing.T) {
	c := containerdtest.Config(t)
	base := filepath.Dir(c.Root)
	for _, d := range []string{"l", "u", "w", "m"} {
		require.NoError(t, os.MkdirAll(filepath.Join(base, d), 0o755))
	}
	// A root in an overlay cannot hold another one.
	at := filepath.Join(base, "m")
	options := "lowerdir=" + base + "/l,upperdir=" + base + "/u,workdir=" + base + "/w"
	require.NoError(t, unix.Mount("overlay", at, "overlay", 0, options))
	t.Cleanup(func() { _ = unix.Unmount(at, unix.MNT_DETACH) })
	c.Root = filepath.Join(at, "d")
	requireRefusal(t, c, `snapshotter "overlayfs" does not work here`, "snapshotter: native")

	c.Snapshotter = "native"
	containerdtest.Start(t, c)
}

func TestUnknownSnapshotter(t *testing.T) {
	c := containerdtest.Config(t)
	c.Snapshotter = "nosuch"
	requireRefusal(t, c, `snapshotter "nosuch"`, "snapshotter: native")
	c.Address = containerdtest.StockContainerd(t)
	requireRefusal(t, c, `has no snapshotter "nosuch"`)
}

func TestNoRunc(t *testing.T) {
	if assets.Runc != "" {
		t.Skip("this test binary carries a runc")
	}
	c := containerdtest.Config(t)
	t.Setenv("PATH", "")
	requireRefusal(t, c, "carries no runc", "make build", "apt-get install runc")
}

func TestNoExternalContainerd(t *testing.T) {
	c := containerdtest.Config(t)
	c.Address = filepath.Join(c.State, "nosuch.sock")
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	err := containerd.New(c, containerdtest.Log(t)).Start(ctx)
	assert.ErrorContains(t, err, c.Address+" does not answer: start it, or leave out --containerd")
}

func TestALongExecRootGetsShortSockets(t *testing.T) {
	c := containerdtest.Config(t)
	c.State = filepath.Join(c.State, strings.Repeat("long/", 30))
	for range 2 {
		e := containerd.New(c, zap.NewNop())
		require.NoError(t, e.Start(t.Context()))
		require.NoError(t, newTask(t, e, "c1", "true", cio.NullIO).Start(t.Context()))
		containerdtest.RemoveContainers(t, e)
		require.NoError(t, e.Stop(t.Context()))
	}
	left, _ := filepath.Glob("/run/pouchfx/s-" + filepath.Base(containerd.New(c, nil).CgroupParent()) + "*")
	assert.Empty(t, left)
}

func TestStopRemovesCgroupsThatAreLeft(t *testing.T) {
	c := containerdtest.Config(t)
	e := containerd.New(c, zap.NewNop())
	require.NoError(t, e.Start(t.Context()))
	hierarchy := "/sys/fs/cgroup"
	if _, err := os.Stat(hierarchy + "/cgroup.controllers"); err != nil {
		hierarchy += "/pids"
	}
	parent := hierarchy + e.CgroupParent()
	require.NoError(t, os.MkdirAll(filepath.Join(parent, "killed"), 0o755))
	require.NoError(t, e.Stop(t.Context()))
	assert.NoDirExists(t, parent)
}

func TestAFatalErrorOfContainerdReachesTheDaemon(t *testing.T) {
	e := containerdtest.Embedded(t)
	fatal := log.L.Fatal // which returns here
	fatal("test: gives up")
	select {
	case err := <-e.Failed():
		assert.ErrorContains(t, err, "containerd gave up")
	case <-time.After(5 * time.Second):
		t.Error("nothing was reported")
	}
}

func TestClientNeedsNoNamespace(t *testing.T) {
	containerdtest.Both(t, func(t *testing.T, e *containerd.Engine) {
		ctx := context.Background()
		image := containerdtest.Import(t, e, box, containerdtest.Box(t))
		_, err := image.Config(ctx)
		assert.NoError(t, err)
		_, err = image.Size(ctx)
		assert.NoError(t, err)
		assert.NoError(t, image.Unpack(ctx, "native"))
		_, err = e.Client().Containers(ctx)
		assert.NoError(t, err)
		lease, err := e.Client().LeasesService().Create(ctx, leases.WithRandomID())
		require.NoError(t, err)
		assert.NoError(t, e.Client().LeasesService().Delete(ctx, lease))
		all, err := e.Client().NamespaceService().List(ctx)
		assert.NoError(t, err)
		assert.Equal(t, []string{containerd.Namespace}, all)
	})
}
