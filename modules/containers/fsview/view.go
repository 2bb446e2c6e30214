package fsview

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"runtime"

	"golang.org/x/sys/unix"
)

// Mount is what is mounted in a view, as in the container.
type Mount struct {
	// Source is a file or directory of the host.
	Source string
	// Destination is an absolute path in the container. What is missing of it
	// is made, as the runtime makes it at the container's start.
	Destination string
	// ReadOnly and NonRecursive are those of the container's mount.
	ReadOnly, NonRecursive bool
}

// Options say what a view shows.
type Options struct {
	// Root is where the container's root filesystem is mounted on the host.
	Root string
	// ReadOnly keeps the root filesystem from being written to.
	ReadOnly bool
	// Mounts are made in this order.
	Mounts []Mount
}

// View is the files of one container. It keeps its mounts alive until Close:
// the root filesystem may be unmounted from the host meanwhile. Its methods may
// be called at the same time.
type View struct {
	root *os.File // O_PATH
	ns   *os.File // keeps the mount namespace
}

// Open makes a view.
func Open(o Options) (*View, error) {
	type result struct {
		view *View
		err  error
	}
	done := make(chan result, 1)
	onThread(func() {
		v, err := open(o)
		done <- result{v, err}
	})
	r := <-done
	if errors.Is(r.err, unix.ENOSYS) {
		return nil, fmt.Errorf("looking into a container needs Linux 5.12 or newer: %w", r.err)
	}
	return r.view, r.err
}

// onThread calls f on a thread that ends with it, and with all that f changes
// of the thread. The process's first thread cannot end, and stands for the
// process in /proc, so it is not taken.
func onThread(f func()) {
	go func() {
		runtime.LockOSThread()
		if unix.Gettid() != unix.Getpid() {
			f() // never unlocked
			return
		}
		onThread(f)
		runtime.UnlockOSThread()
	}()
}

// Close lets go of the container's files.
func (v *View) Close() error { return errors.Join(v.root.Close(), v.ns.Close()) }

// open makes a view on a thread that is given up for it.
func open(o Options) (_ *View, err error) {
	if err := unix.Unshare(unix.CLONE_FS | unix.CLONE_NEWNS); err != nil {
		return nil, os.NewSyscallError("unshare", err)
	}
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return nil, os.NewSyscallError("mount", err)
	}
	root, err := clone(o.Root, false, o.ReadOnly)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			root.Close()
		}
	}()
	if err := unix.MoveMount(int(root.Fd()), "", unix.AT_FDCWD, o.Root, unix.MOVE_MOUNT_F_EMPTY_PATH); err != nil {
		return nil, &os.PathError{Op: "move_mount", Path: o.Root, Err: err}
	}
	v := &View{root: root}
	for _, m := range o.Mounts {
		if err := v.mount(m); err != nil {
			return nil, fmt.Errorf("cannot mount %s: %w", m.Destination, err)
		}
	}
	if v.ns, err = os.Open("/proc/thread-self/ns/mnt"); err != nil {
		return nil, err
	}
	if err := leaveRest(root); err != nil {
		return nil, errors.Join(err, v.ns.Close())
	}
	return v, nil
}

// clone returns a copy of the mount at a path of the host that belongs to
// nowhere yet: nothing in it can be a door to somewhere else, and what is
// mounted or unmounted on the host later is not in it.
func clone(source string, recursive, readOnly bool) (*os.File, error) {
	flags := uint(unix.OPEN_TREE_CLONE | unix.OPEN_TREE_CLOEXEC)
	if recursive {
		flags |= unix.AT_RECURSIVE
	}
	fd, err := unix.OpenTree(unix.AT_FDCWD, source, flags)
	if err != nil {
		return nil, &os.PathError{Op: "open_tree", Path: source, Err: err}
	}
	tree := os.NewFile(uintptr(fd), source)
	attr := unix.MountAttr{Attr_set: unix.MOUNT_ATTR_NODEV | unix.MOUNT_ATTR_NOSUID | unix.MOUNT_ATTR_NOEXEC, Propagation: unix.MS_PRIVATE}
	if readOnly {
		attr.Attr_set |= unix.MOUNT_ATTR_RDONLY
	}
	if err := unix.MountSetattr(fd, "", unix.AT_EMPTY_PATH|unix.AT_RECURSIVE, &attr); err != nil {
		tree.Close()
		return nil, &os.PathError{Op: "mount_setattr", Path: source, Err: err}
	}
	return tree, nil
}

func (v *View) mount(m Mount) error {
	tree, err := clone(m.Source, !m.NonRecursive, m.ReadOnly)
	if err != nil {
		return err
	}
	defer tree.Close()
	info, err := tree.Stat()
	if err != nil {
		return err
	}
	at, err := v.place(m.Destination, info.IsDir())
	if err != nil {
		return err
	}
	defer at.Close()
	return os.NewSyscallError("move_mount", unix.MoveMount(int(tree.Fd()), "", int(at.Fd()), "", unix.MOVE_MOUNT_F_EMPTY_PATH|unix.MOVE_MOUNT_T_EMPTY_PATH))
}

// place opens where something is to be mounted, and makes it if it is missing.
func (v *View) place(name string, dir bool) (*os.File, error) {
	at, err := v.open(name, unix.O_PATH)
	if !errors.Is(err, fs.ErrNotExist) {
		return at, err
	}
	if dir {
		return v.makeDirs(name)
	}
	parent, err := v.makeDirs(path.Dir(name))
	if err != nil {
		return nil, err
	}
	defer parent.Close()
	fd, err := unix.Openat(int(parent.Fd()), path.Base(name), unix.O_CREAT|unix.O_EXCL|unix.O_WRONLY|unix.O_CLOEXEC, 0o755)
	if err != nil {
		return nil, &os.PathError{Op: "create", Path: name, Err: err}
	}
	unix.Close(fd)
	return v.open(name, unix.O_PATH)
}

// leaveRest makes root the thread's root and lets go of all other mounts: they
// are not to be kept from being unmounted on the host.
func leaveRest(root *os.File) error {
	if err := unix.Fchdir(int(root.Fd())); err != nil {
		return os.NewSyscallError("fchdir", err)
	}
	if err := unix.PivotRoot(".", "."); err != nil {
		return os.NewSyscallError("pivot_root", err)
	}
	return os.NewSyscallError("umount2", unix.Unmount(".", unix.MNT_DETACH))
}
