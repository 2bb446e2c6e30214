package containerd

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"time"

	"github.com/containerd/containerd/v2/client"
	"github.com/containerd/containerd/v2/core/mount"
	"github.com/containerd/containerd/v2/core/snapshots"
	"github.com/containerd/containerd/v2/pkg/timeout"
	"github.com/containerd/containerd/v2/plugins"
	"github.com/containerd/containerd/v2/plugins/snapshots/overlay/overlayutils"
	"github.com/containerd/errdefs"
	"go.uber.org/zap"
)

const (
	ttrpcServer = "io.containerd.server.v1.ttrpc"
	shimManager = "io.containerd.shim.v1.manager"
	taskManager = "io.containerd.runtime.v2.task"
	collector   = "io.containerd.gc.v1.scheduler"
)

// startEmbedded starts containerd in this process.
func (e *Engine) startEmbedded(ctx context.Context) error {
	root := filepath.Join(e.config.Root, "containerd")
	state := filepath.Join(e.config.State, "containerd")
	if err := os.MkdirAll(root, 0o700); err != nil {
		return err
	}
	// The root of a container with a user namespace passes through to its root
	// filesystem. Another daemon may have left it without that right.
	if err := errors.Join(os.MkdirAll(state, 0o711), os.Chmod(state, 0o711)); err != nil {
		return err
	}
	if err := e.makeSocketDir(); err != nil {
		return err
	}
	if err := e.checkOverlay(root); err != nil {
		return err
	}
	e.cleanMounts(filepath.Join(root, "tmpmounts"))
	// The shims remember this path and report to it after a restart too.
	address := filepath.Join(e.sockets, "events.sock")
	// The roots are locked, so that nobody else can hold the database; but
	// containerd would wait for ever.
	timeout.Set("io.containerd.timeout.bolt.open", 5*time.Second)

	exits := watchExits(ctx, filepath.Join(state, taskManager, Namespace))
	e.onStop(func() error { e.ReleaseOutput(); return nil })
	defer func() { e.exits, e.output = exits.finish() }()
	l := &loader{
		root: root, state: state, address: address,
		config: map[string]any{
			ttrpcServer: map[string]any{"address": address},
			shimManager: map[string]any{"socket_dir": e.sockets},
			// By itself containerd would collect garbage after a hundred changes,
			// and keep the disk that a removed container took until then.
			collector: map[string]any{"deletion_threshold": 1, "schedule_delay": "1s"},
		},
	}
	if e.config.CRI != nil {
		if !linkedCRI() {
			return errors.New("this binary has no CRI: leave out --cri-host, use an external containerd, or build a target that has it")
		}
		cri, err := e.criPlugins()
		if err != nil {
			return err
		}
		maps.Copy(l.config, cri)
		if err := completeBundles(filepath.Join(state, taskManager, PodNamespace), e.binaries.shim); err != nil {
			return err
		}
	}
	e.onStop(catchFatal(e.fail))
	l.begin(ctx)
	e.onStop(func() error {
		err := l.close()
		_ = os.Remove(address)
		return err
	})
	if err := l.load(isNotCRI); err != nil {
		return fmt.Errorf("start containerd: %w", err)
	}
	if err := e.watchGarbage(l); err != nil {
		return err
	}
	if err := l.failure(plugins.SnapshotPlugin, e.config.Snapshotter); err != nil {
		return noSnapshotter(e.config.Snapshotter, err)
	}
	direct, err := client.New("", client.WithInMemoryServices(l.context()))
	if err != nil {
		return fmt.Errorf("embedded containerd: %w", err)
	}
	snapshotters, err := l.context().GetByType(plugins.SnapshotPlugin)
	if err != nil {
		return err
	}
	e.removeHalfMade(ctx, snapshotters[e.config.Snapshotter])
	if e.client, err = namespace(Namespace).clientOf(direct, snapshotters); err != nil || e.config.CRI == nil {
		return err
	}
	return e.startCRI(ctx, l, direct, snapshotters)
}

// removeHalfMade removes directories of snapshots that a daemon was killed
// while making: nothing knows of them, and the next of that number would fail.
func (e *Engine) removeHalfMade(ctx context.Context, snapshotter any) {
	c, ok := snapshotter.(snapshots.Cleaner)
	if !ok {
		return
	}
	// A snapshotter that never made one has no list of them: not found.
	if err := c.Cleanup(ctx); err != nil && !errdefs.IsNotImplemented(err) && !errdefs.IsNotFound(err) {
		e.log.Warn("cannot remove half-made snapshots", zap.Error(err))
	}
}

// checkOverlay tells early, and in plain words, that overlayfs cannot work;
// containerd's snapshotter would start and every container fail. That it works
// is remembered: trying, with a mount, takes longer than the rest of a start.
func (e *Engine) checkOverlay(root string) error {
	works := filepath.Join(root, "overlayfs-works")
	if _, err := os.Stat(works); err == nil || e.config.Snapshotter != DefaultSnapshotter {
		return nil
	}
	if err := overlayutils.Supported(root); err != nil {
		return noSnapshotter(e.config.Snapshotter, err)
	}
	return os.WriteFile(works, nil, 0o600)
}

func noSnapshotter(name string, err error) error {
	return fmt.Errorf("snapshotter %q does not work here: use a data root on a filesystem that supports it (ext4, or xfs with ftype=1, for overlayfs), or configure \"snapshotter: native\", which copies layers and needs more disk: %w", name, err)
}

// cleanMounts chooses where snapshots are mounted for a moment, by us or by
// containerd in this process, and removes what a daemon that was killed left there.
func (e *Engine) cleanMounts(dir string) {
	err := mount.SetTempMountLocation(dir)
	if err == nil {
		var warnings []error
		warnings, err = mount.CleanupTempMounts(0)
		for _, w := range warnings {
			e.log.Warn("cannot remove a leftover mount", zap.Error(w))
		}
	}
	if err != nil {
		e.log.Warn("cannot clean up leftover mounts", zap.Error(err))
	}
}
