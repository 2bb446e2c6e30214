// Package containerdtest runs real engines for tests: on temporary roots, with
// real containers from images that are built on the spot, and with registries
// on loopback. It needs root and the Go toolchain, and no network.
//
// A package that uses it has
//
//	func TestMain(m *testing.M) { containerdtest.Main(m) }
//
// so that its test binary can be a shim; with the race detector, which makes
// that take seconds, a program of its own is one. A process runs one embedded engine at
// a time: tests that start one are not parallel.
package containerdtest

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/containerd/containerd/v2/client"
	"github.com/containerd/containerd/v2/core/leases"
	"github.com/containerd/containerd/v2/core/mount"
	"github.com/moby/sys/mountinfo"
	"github.com/stretchr/testify/require"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest"

	"github.com/pouchfx/pouchfx/modules/containerd"
	"github.com/pouchfx/pouchfx/modules/containerd/assets"
	"github.com/pouchfx/pouchfx/modules/containerd/shim"
	"github.com/pouchfx/pouchfx/modules/logging"
)

// Main is the TestMain of packages that run containers.
func Main(m *testing.M) {
	if shim.Requested() {
		shim.Run()
		return
	}
	if os.Geteuid() == 0 && assets.Runc == "" {
		if err := ProvideRunc(); err != nil {
			fmt.Fprintln(os.Stderr, "containerdtest: no runc:", err)
			os.Exit(1)
		}
	}
	// containerd has one log in a process, and shims report after a test's end.
	log, err := zap.NewDevelopment(zap.IncreaseLevel(zap.WarnLevel))
	if err != nil {
		panic(err)
	}
	logging.Containerd(log)
	os.Exit(m.Run())
}

// RequireRoot skips a test that cannot run.
func RequireRoot(t testing.TB) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root: it runs real containers")
	}
}

// Config is that of an embedded engine on a temporary root, which is removed
// at the end of the test with all that is mounted below it.
func Config(t testing.TB) containerd.Config {
	t.Helper()
	RequireRoot(t)
	dir, err := os.MkdirTemp("/tmp", "px") // t.TempDir is too long for sockets
	require.NoError(t, err)
	t.Cleanup(func() { removeRoot(t, dir) })
	c := containerd.Config{Root: filepath.Join(dir, "d"), State: filepath.Join(dir, "x")}
	if raceEnabled {
		c.Executable = program(t, "roles", ".", rolesPackage)
	}
	return c
}

// Start starts an engine that ends with the test, together with its
// containers.
func Start(t testing.TB, c containerd.Config) *containerd.Engine {
	t.Helper()
	if c.CRI != nil && c.CRI.Pause == "" {
		withPause := *c.CRI
		withPause.Pause = pause(t)
		c.CRI = &withPause
	}
	e := containerd.New(c, Log(t))
	require.NoError(t, e.Start(t.Context()))
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if e.CRI() != nil {
			removePods(ctx, t, e)
		}
		if e.Client() != nil { // not stopped by the test
			removeContainers(ctx, t, e.Client())
		}
		require.NoError(t, e.Stop(ctx))
	})
	return e
}

// Embedded starts an embedded engine on a root of its own.
func Embedded(t testing.TB) *containerd.Engine {
	t.Helper()
	return Start(t, Config(t))
}

// External starts a stock containerd and an engine that uses it.
func External(t testing.TB) *containerd.Engine {
	t.Helper()
	c := Config(t)
	c.Address = StockContainerd(t)
	return Start(t, c)
}

// Both runs a test with each kind of engine.
func Both(t *testing.T, test func(*testing.T, *containerd.Engine)) {
	t.Helper()
	t.Run("embedded", func(t *testing.T) { test(t, Embedded(t)) })
	t.Run("external", func(t *testing.T) { test(t, External(t)) })
}

// Log writes warnings and worse into the test's output.
func Log(t testing.TB) *zap.Logger {
	return zaptest.NewLogger(t, zaptest.Level(zap.WarnLevel))
}

// Collect removes what nothing refers to. containerd does so by itself, but a
// deletion that ends while it collects counts as seen and waits for the next.
func Collect(t testing.TB, e *containerd.Engine) {
	t.Helper()
	ctx, service := e.Context(t.Context()), e.Client().LeasesService()
	l, err := service.Create(ctx, leases.WithRandomID())
	require.NoError(t, err)
	require.NoError(t, service.Delete(ctx, l, leases.SynchronousDelete))
}

// RemoveContainers kills and removes all containers of an engine.
func RemoveContainers(t testing.TB, e *containerd.Engine) {
	t.Helper()
	removeContainers(t.Context(), t, e.Client())
}

func removeContainers(ctx context.Context, t testing.TB, c *client.Client) {
	containers, err := c.Containers(ctx)
	require.NoError(t, err)
	for _, container := range containers {
		if task, err := container.Task(ctx, nil); err == nil {
			_, err = task.Delete(ctx, client.WithProcessKill)
			require.NoError(t, err, "delete the task of %s", container.ID())
		}
		require.NoError(t, container.Delete(ctx, client.WithSnapshotCleanup), "delete %s", container.ID())
	}
}

func removeRoot(t testing.TB, dir string) {
	mounts, err := mountinfo.GetMounts(mountinfo.PrefixFilter(dir))
	require.NoError(t, err)
	for _, m := range slices.Backward(mounts) {
		require.NoError(t, mount.UnmountAll(m.Mountpoint, 0), "unmount %s", m.Mountpoint)
	}
	require.NoError(t, os.RemoveAll(dir))
}
