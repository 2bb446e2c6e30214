package containerd

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"go.uber.org/zap"
	"golang.org/x/sys/unix"
)

const (
	// lockTimeout is how long a start waits for a daemon that is just ending.
	lockTimeout = 5 * time.Second
	// maxSocketDir is containerd's bound for the directory of shim sockets:
	// the path of a unix socket has no more than 107 bytes.
	maxSocketDir = 42
)

// identity is a short name for this pair of roots.
func (e *Engine) identity() string {
	sum := sha256.Sum256([]byte(e.config.Root + "\x00" + e.config.State))
	return hex.EncodeToString(sum[:6])
}

// lockRoots makes both roots and locks them against another daemon until
// Stop. The kernel drops the locks of a daemon that was killed.
func (e *Engine) lockRoots(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, lockTimeout)
	defer cancel()
	for _, root := range []*string{&e.config.Root, &e.config.State} {
		path, err := filepath.Abs(*root)
		if err != nil {
			return err
		}
		*root = path
		if err := os.MkdirAll(path, 0o711); err != nil {
			return err
		}
		unlock, err := lock(ctx, path)
		if err != nil {
			return err
		}
		e.onStop(unlock)
	}
	return nil
}

// lock takes the lock file of a directory and writes our process id into it.
func lock(ctx context.Context, dir string) (unlock func() error, err error) {
	f, err := os.OpenFile(filepath.Join(dir, "daemon.lock"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			_ = f.Close()
		}
	}()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if err == nil {
			break
		}
		if !errors.Is(err, unix.EWOULDBLOCK) {
			return nil, fmt.Errorf("lock %s: %w", f.Name(), err)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			holder := make([]byte, 16)
			n, _ := f.ReadAt(holder, 0)
			return nil, fmt.Errorf("another daemon (process %s) uses %s: stop it, or give this one its own --data-root and --exec-root", strings.TrimSpace(string(holder[:n])), dir)
		}
	}
	if err := f.Truncate(0); err != nil {
		return nil, err
	}
	if _, err := f.WriteAt([]byte(strconv.Itoa(os.Getpid())+"\n"), 0); err != nil {
		return nil, err
	}
	return f.Close, nil
}

// makeSocketDir makes the directory of the shims' sockets and of the one that
// they report to. An exec root with a long name gets one under /run.
func (e *Engine) makeSocketDir() error {
	e.sockets = filepath.Join(e.config.State, "s")
	if len(e.sockets) > maxSocketDir {
		e.sockets = "/run/pouchfx/s-" + e.identity()
		e.log.Info("the exec root is too long for unix sockets", zap.String("sockets", e.sockets))
	}
	if err := os.MkdirAll(e.sockets, 0o700); err != nil {
		return err
	}
	// Shims that go on running keep their sockets, and then the directory stays.
	e.onStop(func() error { _ = os.Remove(e.sockets); return nil })
	return nil
}

// removeCgroups removes what is left of the cgroup of this daemon's
// containers, in whichever hierarchies the host has; a shim that was killed
// leaves its container's behind. Those that still hold a process, or another
// daemon's, stay: the kernel does not remove them.
func (e *Engine) removeCgroups() error {
	for _, pattern := range []string{"/sys/fs/cgroup", "/sys/fs/cgroup/*"} {
		found, _ := filepath.Glob(pattern + e.CgroupParent())
		for _, dir := range found {
			of, _ := filepath.Glob(dir + "/*/cgroup.procs")
			for _, procs := range of {
				_ = os.Remove(filepath.Dir(procs))
			}
			if os.Remove(dir) == nil {
				_ = os.Remove(filepath.Dir(dir))
			}
		}
	}
	return nil
}
