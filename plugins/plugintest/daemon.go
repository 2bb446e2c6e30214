package plugintest

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/containerd/containerd/v2/core/mount"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/moby/moby/api/pkg/stdcopy"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"
	"github.com/moby/sys/mountinfo"
	"github.com/stretchr/testify/require"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/pouchfx/pouchfx/app"
	"github.com/pouchfx/pouchfx/modules/config"
	"github.com/pouchfx/pouchfx/modules/containerd/assets"
	"github.com/pouchfx/pouchfx/modules/containerd/containerdtest"
	"github.com/pouchfx/pouchfx/plugins"
)

// BoxImage is the image that Daemon loads: a shell and the usual small
// commands.
const BoxImage = "box:latest"

// Running is a daemon that runs for a test, in its process.
type Running struct {
	// Client speaks to it as the docker command does.
	Client *client.Client
	// Host is its address, unix:///path.
	Host string

	root   string
	log    *journal
	stop   context.CancelFunc
	status chan int
}

// Daemon starts a whole daemon with plugins, with containerd in it, on a
// temporary root, and loads BoxImage. It ends with the test, with all its
// containers. Without root the test is skipped.
//
// The package has to have
//
//	func TestMain(m *testing.M) { plugintest.Main(m) }
//
// so that its test binary can be the shim of containers, too, and so that the
// daemon's networks are not the machine's. A process runs one daemon at a time:
// tests that start one are not parallel.
//
// It needs the go command, for BoxImage, and runc, which is built where the
// tools of this repository are there and else has to be on PATH. Networks of
// containers need the CNI programs bridge and host-local in /opt/cni/bin, or
// the build tag assets after `make assets`.
func Daemon(t testing.TB, modules ...*plugins.Provided) *Running {
	t.Helper()
	return DaemonWith(t, "", modules...)
}

// DaemonWith is Daemon with a configuration file, in YAML. Where the daemon
// listens and has its roots is not for it to say; nor do containers outlive it.
func DaemonWith(t testing.TB, file string, modules ...*plugins.Provided) *Running {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root: it runs real containers")
	}
	require.True(t, entered, "add to the package: func TestMain(m *testing.M) { plugintest.Main(m) }")
	var image v1.Image
	require.NoError(t, outside(func() error {
		image = containerdtest.Box(t)
		return provideRunc()
	}))
	root, err := os.MkdirTemp("/tmp", "px") // t.TempDir is too long for sockets
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, removeRoot(root)) })
	d := &Running{Host: "unix://" + filepath.Join(root, "d.sock"), root: root, log: &journal{}, status: make(chan int, 1)}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the daemon's log:\n%s", d.log)
		}
	})
	d.Client, err = client.New(client.WithHost(d.Host))
	require.NoError(t, err)
	t.Cleanup(func() { d.Client.Close() })
	d.start(t, file, modules)
	d.Load(t, BoxImage, image)
	return d
}

// start runs the daemon and waits until it is ready.
func (d *Running) start(t testing.TB, file string, modules []*plugins.Provided) {
	t.Helper()
	path := filepath.Join(d.root, "config.yaml")
	require.NoError(t, os.WriteFile(path, []byte(file), 0o600))
	c, err := config.Load(path, nil, nil)
	require.NoError(t, err)
	c.Hosts, c.DataRoot, c.ExecRoot = []string{d.Host}, filepath.Join(d.root, "d"), filepath.Join(d.root, "x")
	c.Pidfile, c.Containerd, c.LiveRestore = "", "", false

	life, stop := context.WithCancel(context.Background())
	d.stop = stop
	log := zap.New(zapcore.NewCore(zapcore.NewConsoleEncoder(zap.NewDevelopmentEncoderConfig()), d.log, zapcore.InfoLevel))
	ready := make(chan struct{})
	go func() {
		d.status <- app.Run(life, target(modules), c, app.WithLogger(log), app.OnReady(func() { close(ready) }))
	}()
	t.Cleanup(func() { d.Stop(t) })
	select {
	case <-ready:
	case status := <-d.status:
		d.status <- status
		t.Fatalf("the daemon did not start: exit status %d\n%s", status, d.log)
	}
}

// Stop removes the containers, has the daemon stop in order, which it reports
// where it does not, and waits for it. The end of the test does so, too.
func (d *Running) Stop(t testing.TB) {
	t.Helper()
	if d.stop == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	list, err := d.Client.ContainerList(ctx, client.ContainerListOptions{All: true})
	if err == nil { // else it did not start
		for _, c := range list.Items {
			_, err := d.Client.ContainerRemove(ctx, c.ID, client.ContainerRemoveOptions{Force: true, RemoveVolumes: true})
			require.NoError(t, err)
		}
	}
	d.stop()
	d.stop = nil
	select {
	case status := <-d.status:
		if status != 0 && !t.Failed() {
			t.Errorf("the daemon did not stop in order: exit status %d\n%s", status, d.log)
		}
	case <-ctx.Done():
		t.Fatalf("the daemon does not stop\n%s", d.log)
	}
}

// Log is what the daemon has logged so far.
func (d *Running) Log() string { return d.log.String() }

// Load loads an image under a name.
func (d *Running) Load(t testing.TB, reference string, image v1.Image) {
	t.Helper()
	answer, err := d.Client.ImageLoad(t.Context(), containerdtest.Archive(t, reference, image))
	require.NoError(t, err)
	defer answer.Close()
	_, err = io.Copy(io.Discard, answer)
	require.NoError(t, err)
}

// Output runs a shell script in a container of BoxImage, as docker run --rm
// would, and returns what it printed. change may change what is created; the
// container has no network, unless that says otherwise.
func (d *Running) Output(t testing.TB, script string, change ...func(*client.ContainerCreateOptions)) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	o := client.ContainerCreateOptions{
		Config:     &container.Config{Image: BoxImage, Cmd: []string{"sh", "-c", script}},
		HostConfig: &container.HostConfig{NetworkMode: "none"},
	}
	for _, f := range change {
		f(&o)
	}
	created, err := d.Client.ContainerCreate(ctx, o)
	require.NoError(t, err)
	defer func() {
		_, err := d.Client.ContainerRemove(ctx, created.ID, client.ContainerRemoveOptions{Force: true, RemoveVolumes: true})
		require.NoError(t, err)
	}()
	_, err = d.Client.ContainerStart(ctx, created.ID, client.ContainerStartOptions{})
	require.NoError(t, err)
	wait := d.Client.ContainerWait(ctx, created.ID, client.ContainerWaitOptions{Condition: container.WaitConditionNotRunning})
	var status int64
	select {
	case end := <-wait.Result:
		status = end.StatusCode
	case err := <-wait.Error:
		require.NoError(t, err)
	}
	logs, err := d.Client.ContainerLogs(ctx, created.ID, client.ContainerLogsOptions{ShowStdout: true, ShowStderr: true})
	require.NoError(t, err)
	defer logs.Close()
	var out, errs bytes.Buffer
	_, err = stdcopy.StdCopy(&out, &errs, logs)
	require.NoError(t, err)
	require.Zero(t, status, "the script ended with %d and says: %s", status, errs.String())
	return out.String()
}

// provideRunc sees to it that a runc can be found.
func provideRunc() error {
	if assets.Runc != "" {
		return nil
	}
	built := containerdtest.ProvideRunc()
	if built == nil {
		return nil
	}
	if _, err := exec.LookPath("runc"); err != nil {
		return fmt.Errorf("there is no runc on PATH, install one; and none can be built: %w", built)
	}
	return nil
}

func removeRoot(root string) error {
	mounts, err := mountinfo.GetMounts(mountinfo.PrefixFilter(root))
	if err != nil {
		return err
	}
	for _, m := range slices.Backward(mounts) {
		if err := mount.UnmountAll(m.Mountpoint, 0); err != nil {
			return err
		}
	}
	return os.RemoveAll(root)
}

// journal is the log of a daemon.
type journal struct {
	mu   sync.Mutex
	text strings.Builder
}

func (j *journal) Write(p []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.text.Write(p)
}

// Sync does nothing.
func (j *journal) Sync() error { return nil }

func (j *journal) String() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.text.String()
}
