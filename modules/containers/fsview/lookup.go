package fsview

import (
	"errors"
	"io/fs"
	"os"
	"path"
	"strconv"
	"strings"

	"github.com/moby/moby/api/types/container"
	"golang.org/x/sys/unix"
)

const (
	// maxRetries bounds how often a lookup is tried again that failed because
	// somebody moved directories meanwhile.
	maxRetries = 128
	// maxLinks is how many symbolic links are followed, as in the kernel.
	maxLinks = 40
)

// open opens a path of the container. Links lead to where they lead in the
// container, the last one too unless flags has O_NOFOLLOW.
func (v *View) open(name string, flags int) (*os.File, error) {
	how := unix.OpenHow{
		Flags:   uint64(flags | unix.O_CLOEXEC),
		Resolve: unix.RESOLVE_IN_ROOT | unix.RESOLVE_NO_MAGICLINKS,
	}
	for tries := 0; ; tries++ {
		fd, err := unix.Openat2(int(v.root.Fd()), name, &how)
		if err == nil {
			return os.NewFile(uintptr(fd), name), nil
		}
		if !errors.Is(err, unix.EAGAIN) && !errors.Is(err, unix.EINTR) || tries == maxRetries {
			return nil, &os.PathError{Op: "open", Path: name, Err: err}
		}
	}
}

// itself is a path of the host that leads to the very file that is open,
// whatever its name has become.
func itself(f *os.File) string { return "/proc/self/fd/" + strconv.Itoa(int(f.Fd())) }

// Stat describes what is at an absolute path, which may end in / or /. to mean
// the directory that a link leads to.
func (v *View) Stat(name string) (container.PathStat, error) {
	f, err := v.open(name, unix.O_PATH|unix.O_NOFOLLOW)
	if err != nil {
		return container.PathStat{}, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return container.PathStat{}, err
	}
	st := container.PathStat{Name: path.Base(name), Size: info.Size(), Mode: info.Mode(), Mtime: info.ModTime()}
	if info.Mode().Type() == fs.ModeSymlink {
		st.LinkTarget, err = v.Resolve(name)
	}
	return st, err
}

// Resolve returns the path without links that an absolute path leads to. What
// is not there is kept as it is.
func (v *View) Resolve(name string) (string, error) {
	at, rest, links := "/", name, 0
	for rest != "" {
		var part string
		part, rest, _ = strings.Cut(rest, "/")
		if part == "" || part == "." || part == ".." {
			at = path.Join(at, part)
			continue
		}
		next := path.Join(at, part)
		target, isLink := v.readlink(next)
		if !isLink {
			at = next
			continue
		}
		if links++; links > maxLinks {
			return "", &os.PathError{Op: "resolve", Path: name, Err: unix.ELOOP}
		}
		if path.IsAbs(target) {
			at = "/"
		}
		rest = target + "/" + rest
	}
	return at, nil
}

func (v *View) readlink(name string) (target string, isLink bool) {
	f, err := v.open(name, unix.O_PATH|unix.O_NOFOLLOW)
	if err != nil {
		return "", false
	}
	defer f.Close()
	target, err = linkTarget(f)
	return target, err == nil
}

// linkTarget is where a link leads that is open.
func linkTarget(f *os.File) (string, error) {
	buf := make([]byte, unix.PathMax)
	n, err := unix.Readlinkat(int(f.Fd()), "", buf)
	if err != nil {
		return "", &os.PathError{Op: "readlink", Path: f.Name(), Err: err}
	}
	return string(buf[:n]), nil
}

// Has tells whether there is something at a path, links followed.
func (v *View) Has(name string) bool {
	f, err := v.open(name, unix.O_PATH)
	if err != nil {
		return false
	}
	f.Close()
	return true
}

// ReadOnly tells whether a directory cannot be written to, and whether that is
// because of what is mounted there, not the root filesystem.
func (v *View) ReadOnly(dir string) (readOnly, mounted bool, err error) {
	f, err := v.open(dir, unix.O_PATH)
	if err != nil {
		return false, false, err
	}
	defer f.Close()
	var st unix.Statfs_t
	if err := unix.Fstatfs(int(f.Fd()), &st); err != nil {
		return false, false, &os.PathError{Op: "statfs", Path: dir, Err: err}
	}
	here, err := mountOf(f)
	if err != nil {
		return false, false, err
	}
	root, err := mountOf(v.root)
	return st.Flags&unix.ST_RDONLY != 0, here != root, err
}

// makeDirs opens a directory, links followed, and makes what is missing.
func (v *View) makeDirs(name string) (*os.File, error) {
	f, err := v.open(name, unix.O_PATH|unix.O_DIRECTORY)
	if !errors.Is(err, fs.ErrNotExist) || name == "/" {
		return f, err
	}
	parent, err := v.makeDirs(path.Dir(name))
	if err != nil {
		return nil, err
	}
	defer parent.Close()
	if err := unix.Mkdirat(int(parent.Fd()), path.Base(name), 0o755); err != nil && !errors.Is(err, unix.EEXIST) {
		return nil, &os.PathError{Op: "mkdir", Path: name, Err: err}
	}
	return v.open(name, unix.O_PATH|unix.O_DIRECTORY)
}

// Path is a path of this process that leads to the view's root, until Close.
// Only what resolves paths inside of a root may be given it.
func (v *View) Path() string { return itself(v.root) }
