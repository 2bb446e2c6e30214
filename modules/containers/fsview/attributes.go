package fsview

import (
	"archive/tar"
	"errors"
	"os"
	"path"
	"strings"

	"golang.org/x/sys/unix"
)

// openAt opens what is in a directory, a link itself, for its attributes.
func openAt(parent *os.File, base string) (*os.File, error) {
	fd, err := unix.Openat(int(parent.Fd()), base, unix.O_PATH|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, &os.PathError{Op: "open", Path: path.Join(parent.Name(), base), Err: err}
	}
	return os.NewFile(uintptr(fd), path.Join(parent.Name(), base)), nil
}

// attributes gives an open file the owner, mode, capabilities and time of its
// entry. They are set through the descriptor: the name may be another's by now.
func (u *unpacker) attributes(f *os.File, h *tar.Header) error {
	owner := Owner{h.Uid, h.Gid}
	if u.options.Owner != nil {
		owner = *u.options.Owner
	}
	fail := func(op string, err error) error { return &os.PathError{Op: op, Path: f.Name(), Err: err} }
	if err := unix.Fchownat(int(f.Fd()), "", owner.UID, owner.GID, unix.AT_EMPTY_PATH); err != nil {
		return fail("chown", err)
	}
	if h.Typeflag == tar.TypeSymlink { // it has no mode
		return timesOf(f, h)
	}
	for record, value := range h.PAXRecords {
		name, ok := strings.CutPrefix(record, xattrPrefix)
		if !ok || name != capability && !strings.HasPrefix(name, "user.") {
			continue // what else there is belongs to file systems and security modules
		}
		err := unix.Setxattr(itself(f), name, []byte(value), 0)
		if err != nil && !errors.Is(err, unix.EOPNOTSUPP) && !errors.Is(err, unix.EPERM) {
			return fail("setxattr", err)
		}
	}
	if err := unix.Chmod(itself(f), uint32(h.Mode)&0o7777); err != nil { // after the owner, which takes bits away
		return fail("chmod", err)
	}
	return timesOf(f, h)
}

// touch gives a directory its time.
func (u *unpacker) touch(h *tar.Header) error {
	name, err := inside(h.Name, u.options.Dir)
	if err != nil || name == "." || name == "" {
		return err
	}
	f, err := u.view.open(path.Join(u.options.Dir, name), unix.O_PATH|unix.O_NOFOLLOW)
	if errors.Is(err, unix.ENOENT) { // a later entry, or the container, has replaced it
		return nil
	}
	if err != nil {
		return err
	}
	defer f.Close()
	return timesOf(f, h)
}

func timesOf(f *os.File, h *tar.Header) error {
	modified := unix.Timespec{Sec: max(h.ModTime.Unix(), 0), Nsec: int64(h.ModTime.Nanosecond())}
	accessed := modified
	if !h.AccessTime.IsZero() {
		accessed = unix.Timespec{Sec: h.AccessTime.Unix(), Nsec: int64(h.AccessTime.Nanosecond())}
	}
	err := unix.UtimesNanoAt(int(f.Fd()), "", []unix.Timespec{accessed, modified}, unix.AT_EMPTY_PATH)
	if err != nil {
		return &os.PathError{Op: "utimensat", Path: f.Name(), Err: err}
	}
	return nil
}
