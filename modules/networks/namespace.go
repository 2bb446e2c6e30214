package networks

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"runtime"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

// makeNamespace makes a network namespace with its loopback device up, and
// keeps it at path: a file that the namespace is mounted on.
func makeNamespace(path string) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_RDONLY, 0o600)
	if err != nil {
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	err = elsewhere(func() error {
		if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
			return fmt.Errorf("make a network namespace: %w", err)
		}
		// The loopback device is the first of each namespace.
		if err := netlink.LinkSetUp(&netlink.Device{LinkAttrs: netlink.LinkAttrs{Index: 1}}); err != nil {
			return fmt.Errorf("bring the loopback device up: %w", err)
		}
		// Interfaces have IPv6 only where their network has: nothing is to be
		// reached around IPv4's rules. CNI switches it on there.
		if err := sysctl("net/ipv6/conf/default/disable_ipv6", "1"); err != nil {
			return err
		}
		if err := unix.Mount("/proc/thread-self/ns/net", path, "", unix.MS_BIND, ""); err != nil {
			return fmt.Errorf("mount a network namespace on %s: %w", path, err)
		}
		return nil
	})
	if err != nil {
		return errors.Join(err, removeNamespace(path))
	}
	return nil
}

// inNamespace runs f on a thread that is in the namespace kept at path.
func inNamespace(path string, f func() error) error {
	ns, err := netns.GetFromPath(path)
	if err != nil {
		return fmt.Errorf("open network namespace %s: %w", path, err)
	}
	defer ns.Close()
	return elsewhere(func() error {
		if err := netns.Set(ns); err != nil {
			return fmt.Errorf("enter network namespace %s: %w", path, err)
		}
		return f()
	})
}

// elsewhere runs f on a thread of its own, which may leave the daemon's network
// namespace and comes back afterwards; one that cannot ends.
func elsewhere(f func() error) error {
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		home, err := netns.Get()
		if err != nil {
			runtime.UnlockOSThread()
			done <- err
			return
		}
		defer home.Close()
		err = f()
		if netns.Set(home) == nil {
			runtime.UnlockOSThread()
		}
		done <- err
	}()
	return <-done
}

// namespaceExists reports whether a namespace is mounted on path.
func namespaceExists(path string) bool {
	var stat unix.Statfs_t
	return unix.Statfs(path, &stat) == nil && stat.Type == unix.NSFS_MAGIC
}

// removeNamespace removes what makeNamespace made. The kernel takes down what
// is in there once no process is left in it.
func removeNamespace(path string) error {
	for namespaceExists(path) {
		if err := unix.Unmount(path, unix.MNT_DETACH); err != nil {
			return fmt.Errorf("unmount %s: %w", path, err)
		}
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}
