package fsview

import (
	"os"
	"path"

	"golang.org/x/sys/unix"
)

// maxDepth bounds how deep a tree may be that is removed: each level takes a
// descriptor.
const maxDepth = 512

// remove deletes what has a name in a directory, with all that is in it; full
// is its path for errors. The place of a mount cannot be removed. The kernel
// sees to that only in the view's namespace, in which we are not: it would take
// the mount away from the container.
func remove(parent *os.File, base, full string, depth int) error {
	f, err := openAt(parent, base)
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	here, err := mountOf(f)
	if err != nil {
		return err
	}
	above, err := mountOf(parent)
	if err != nil {
		return err
	}
	fail := func(err error) error {
		if err == nil {
			return nil
		}
		return &os.PathError{Op: "unlinkat", Path: full, Err: err}
	}
	switch {
	case here != above:
		return fail(unix.EBUSY)
	case !info.IsDir():
		return fail(unix.Unlinkat(int(parent.Fd()), base, 0))
	case depth == 0:
		return fail(unix.ENAMETOOLONG)
	}
	names, err := list(f)
	if err != nil {
		return err
	}
	for _, name := range names {
		if err := remove(f, name, path.Join(full, name), depth-1); err != nil {
			return err
		}
	}
	return fail(unix.Unlinkat(int(parent.Fd()), base, unix.AT_REMOVEDIR))
}

// mountOf tells which mount a file is seen through.
func mountOf(f *os.File) (uint64, error) {
	var st unix.Statx_t
	if err := unix.Statx(int(f.Fd()), "", unix.AT_EMPTY_PATH, unix.STATX_MNT_ID, &st); err != nil {
		return 0, &os.PathError{Op: "statx", Path: f.Name(), Err: err}
	}
	return st.Mnt_id, nil
}
