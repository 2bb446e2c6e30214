package containerd_test

import (
	"bufio"
	"context"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/containerd/containerd/v2/client"
	"github.com/containerd/containerd/v2/pkg/cio"
	"github.com/containerd/containerd/v2/pkg/oci"
	"github.com/containerd/errdefs"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/pouchfx/pouchfx/modules/containerd"
	"github.com/pouchfx/pouchfx/modules/containerd/containerdtest"
)

func TestMain(m *testing.M) { containerdtest.Main(m) }

const box = "docker.io/test/box:1"

// newTask makes a container that runs a script, and its task.
func newTask(t *testing.T, e *containerd.Engine, id, script string, io cio.Creator) client.Task {
	t.Helper()
	ctx := t.Context()
	image, err := e.Client().GetImage(ctx, box)
	if errdefs.IsNotFound(err) {
		image = containerdtest.Import(t, e, box, containerdtest.Box(t))
	} else {
		require.NoError(t, err)
	}
	name, options := e.Runtime()
	container, err := e.Client().NewContainer(ctx, id,
		client.WithImage(image),
		client.WithSnapshotter(e.Snapshotter()),
		client.WithNewSnapshot(id, image),
		client.WithNewSpec(oci.WithImageConfig(image), oci.WithProcessArgs("sh", "-c", script), oci.WithCgroup(e.CgroupParent()+"/"+id)),
		client.WithRuntime(name, options))
	require.NoError(t, err)
	task, err := container.NewTask(ctx, io)
	require.NoError(t, err)
	return task
}

// wait returns the exit status.
func wait(t *testing.T, exits <-chan client.ExitStatus) uint32 {
	t.Helper()
	select {
	case status := <-exits:
		require.NoError(t, status.Error())
		return status.ExitCode()
	case <-time.After(30 * time.Second):
		require.Fail(t, "the task does not end")
		return 0
	}
}

func TestContainerRunsUnderOurShim(t *testing.T) {
	containerdtest.Both(t, func(t *testing.T, e *containerd.Engine) {
		ctx := t.Context()
		t.Setenv("DAEMON_SECRET", "leaked")
		out, stdout := io.Pipe()
		task := newTask(t, e, "c1", "echo hello; sleep 100", cio.NewCreator(cio.WithStreams(nil, stdout, io.Discard)))
		exits, err := task.Wait(ctx)
		require.NoError(t, err)
		require.NoError(t, task.Start(ctx))
		line, err := bufio.NewReader(out).ReadString('\n')
		require.NoError(t, err)
		assert.Equal(t, "hello\n", line)

		shim := parentOf(t, task.Pid())
		environment, err := os.ReadFile(filepath.Join("/proc", shim, "environ"))
		require.NoError(t, err)
		assert.NotContains(t, string(environment), "leaked", "the shim's environment")
		_, err = os.Stat(filepath.Join(runcRoot(e), "pouchfx", "c1"))
		assert.NoError(t, err, "runc's root is ours")

		require.NoError(t, task.Kill(ctx, syscall.SIGKILL))
		assert.EqualValues(t, 137, wait(t, exits))
		_, err = task.Delete(ctx)
		require.NoError(t, err)
	})
}

func runcRoot(e *containerd.Engine) string {
	_, options := e.Runtime()
	return options.Root
}

func parentOf(t *testing.T, pid uint32) string {
	t.Helper()
	status, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(int(pid)), "status"))
	require.NoError(t, err)
	for line := range strings.Lines(string(status)) {
		if parent, ok := strings.CutPrefix(line, "PPid:"); ok {
			return strings.TrimSpace(parent)
		}
	}
	require.Fail(t, "no parent")
	return ""
}

func TestEngineStartsTwiceInAProcess(t *testing.T) {
	c := containerdtest.Config(t)
	// containerd's broadcaster of events cannot be ended.
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent(), goleak.IgnoreAnyFunction("github.com/docker/go-events.(*Broadcaster).run"))
	for range 2 {
		e := containerd.New(c, containerdtest.Log(t))
		start := time.Now()
		require.NoError(t, e.Start(t.Context()))
		t.Logf("started in %v", time.Since(start))
		_, err := e.Client().ListImages(context.Background())
		assert.NoError(t, err)
		require.NoError(t, e.Stop(t.Context()))
		require.NoError(t, e.Stop(t.Context()), "a second time")
	}
}

func TestAHalfMadeSnapshotIsRemovedAtTheStart(t *testing.T) {
	c := containerdtest.Config(t)
	e := containerd.New(c, containerdtest.Log(t))
	require.NoError(t, e.Start(t.Context()))
	containerdtest.Import(t, e, box, containerdtest.Box(t))
	require.NoError(t, e.Stop(t.Context()))
	// As left by a daemon that was killed before the snapshot was written down.
	lost := filepath.Join(c.Root, "containerd", "io.containerd.snapshotter.v1.overlayfs", "snapshots", "7")
	require.NoError(t, os.MkdirAll(filepath.Join(lost, "fs"), 0o700))
	containerdtest.Start(t, c)
	assert.NoDirExists(t, lost)
}

func TestVersions(t *testing.T) {
	containerdtest.Both(t, func(t *testing.T, e *containerd.Engine) {
		v, err := e.Versions(t.Context())
		require.NoError(t, err)
		assert.True(t, strings.HasPrefix(v.Containerd, "2.4.2"), v.Containerd)
		assert.Equal(t, "1.5.2", v.Runc)
		assert.True(t, v.Seccomp)
	})
}

func TestLastExitOfAContainerThatEndedWithoutTheDaemon(t *testing.T) {
	c := containerdtest.Config(t)
	ctx := t.Context()
	e := containerd.New(c, containerdtest.Log(t))
	require.NoError(t, e.Start(ctx))
	const script = "while [ ! -e /end ]; do sleep 0.02; done; exit 42"
	ends := newTask(t, e, "ends", script, cio.NullIO)
	stays := newTask(t, e, "stays", script, cio.NullIO)
	require.NoError(t, ends.Start(ctx))
	require.NoError(t, stays.Start(ctx))
	require.NoError(t, e.Stop(ctx))

	before := time.Now()
	proc := filepath.Join("/proc", strconv.Itoa(int(ends.Pid())))
	require.NoError(t, os.WriteFile(filepath.Join(proc, "root", "end"), nil, 0o600))
	waitForRecord(t, c, "ends")

	e = containerdtest.Start(t, c)
	exit, ok := e.LastExit("ends")
	require.True(t, ok)
	assert.EqualValues(t, 42, exit.Status)
	assert.WithinRange(t, exit.At, before, time.Now())
	_, ok = e.LastExit("stays")
	assert.False(t, ok, "it is running")
}

func TestLastExitIsAskedFromTheShimWhenItsRecordIsMissing(t *testing.T) {
	c := containerdtest.Config(t)
	ctx := t.Context()
	e := containerd.New(c, containerdtest.Log(t))
	require.NoError(t, e.Start(ctx))
	task := newTask(t, e, "c1", "exit 42", cio.NullIO)
	exits, err := task.Wait(ctx)
	require.NoError(t, err)
	require.NoError(t, task.Start(ctx))
	require.EqualValues(t, 42, wait(t, exits))
	require.NoError(t, e.Stop(ctx))
	require.NoError(t, os.Remove(waitForRecord(t, c, "c1")))

	e = containerdtest.Start(t, c)
	exit, ok := e.LastExit("c1")
	require.True(t, ok)
	assert.EqualValues(t, 42, exit.Status)
}

func TestTasksRunThroughARestartOfTheEngine(t *testing.T) {
	c := containerdtest.Config(t)
	ctx := t.Context()
	e := containerd.New(c, containerdtest.Log(t))
	require.NoError(t, e.Start(ctx))
	require.NoError(t, newTask(t, e, "c1", "sleep 100", cio.NullIO).Start(ctx))
	require.NoError(t, e.Stop(ctx))

	e = containerdtest.Start(t, c)
	container, err := e.Client().LoadContainer(ctx, "c1")
	require.NoError(t, err)
	task, err := container.Task(ctx, nil)
	require.NoError(t, err)
	status, err := task.Status(ctx)
	require.NoError(t, err)
	assert.Equal(t, client.Running, status.Status)
}

// runc mounts within it as that user.
func TestTheRootOfAUserNamespaceGetsToTheRootFilesystems(t *testing.T) {
	c := containerdtest.Config(t)
	left := filepath.Join(c.State, "containerd")
	require.NoError(t, os.MkdirAll(c.State, 0o711))
	require.NoError(t, os.Mkdir(left, 0o700))
	containerdtest.Start(t, c)
	for dir := filepath.Join(left, "io.containerd.runtime.v2.task"); dir != filepath.Dir(c.State); dir = filepath.Dir(dir) {
		info, err := os.Stat(dir)
		require.NoError(t, err)
		assert.NotZero(t, info.Mode()&0o001, dir)
	}
}

// waitForRecord waits until the shim has written down how its task ended.
func waitForRecord(t *testing.T, c containerd.Config, id string) string {
	t.Helper()
	path := filepath.Join(c.State, "containerd", "io.containerd.runtime.v2.task", containerd.Namespace, id, "exit.json")
	require.Eventually(t, func() bool {
		_, err := os.Stat(path)
		return err == nil
	}, 10*time.Second, time.Millisecond)
	return path
}
