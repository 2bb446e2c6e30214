package fsview

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"strings"

	"github.com/containerd/errdefs"
	"golang.org/x/sys/unix"
)

// Owner is a user and its group.
type Owner struct{ UID, GID int }

// UnpackOptions say how an archive is unpacked.
type UnpackOptions struct {
	// Dir is an absolute path of a directory that is there.
	Dir string
	// NoOverwriteDirNonDir keeps a directory from being replaced by something
	// else, and something else by a directory.
	NoOverwriteDirNonDir bool
	// Owner gets all that is unpacked; nil leaves it to the archive.
	Owner *Owner
}

// Unpack makes what a tar archive holds. What is there already is replaced,
// but directories are joined. No entry can lead out of Dir by its name; links
// on the way are followed as in the container.
func (v *View) Unpack(ctx context.Context, r io.Reader, o UnpackOptions) error {
	u := &unpacker{view: v, options: o, archive: tar.NewReader(r), buf: make([]byte, 64<<10)}
	defer u.forget()
	var dirs []*tar.Header
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		h, err := u.archive.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return invalid("cannot read the archive: %v", err)
		}
		if err := u.entry(ctx, h); err != nil {
			return err
		}
		if h.Typeflag == tar.TypeDir {
			dirs = append(dirs, h)
		}
	}
	for _, h := range dirs { // what was made in them has changed their times
		if err := u.touch(h); err != nil {
			return err
		}
	}
	return nil
}

// unpacker unpacks one archive.
type unpacker struct {
	view    *View
	options UnpackOptions
	archive *tar.Reader
	buf     []byte
	sparse  int64 // bytes of the sparse files so far, holes with them
	// The directory of the last entry, which is often that of the next.
	dir    string
	parent *os.File
}

func (u *unpacker) forget() {
	if u.parent != nil {
		u.parent.Close()
		u.parent = nil
	}
}

// inside returns an entry's name as a clean path below Dir. One that points
// above it is an error.
func inside(name, dir string) (string, error) {
	clean := path.Clean(name)
	if clean == ".." || strings.HasPrefix(clean, "../") {
		return "", invalid("%q is outside of %q", name, dir)
	}
	return strings.TrimPrefix(clean, "/"), nil
}

// directory opens the directory of a name below Dir.
func (u *unpacker) directory(name string) (*os.File, error) {
	dir := path.Join(u.options.Dir, path.Dir(name))
	if u.parent != nil && u.dir == dir {
		return u.parent, nil
	}
	f, err := u.view.makeDirs(dir)
	if err != nil {
		return nil, err
	}
	u.forget()
	u.dir, u.parent = dir, f
	return f, nil
}

// entry makes what an entry describes.
func (u *unpacker) entry(ctx context.Context, h *tar.Header) error {
	name, err := inside(h.Name, u.options.Dir)
	if err != nil || h.Typeflag == tar.TypeXGlobalHeader {
		return err
	}
	isDir := h.Typeflag == tar.TypeDir
	if name == "." || name == "" {
		if !isDir {
			return invalid("cannot overwrite directory %q with non-directory %q", u.options.Dir, h.Name)
		}
		return nil
	}
	parent, err := u.directory(name)
	if err != nil {
		return err
	}
	base := path.Base(name)
	there, err := u.clear(parent, base, name, isDir)
	if err != nil {
		return err
	}
	if h.Typeflag == tar.TypeReg {
		return u.file(ctx, parent, base, h)
	}
	if !there {
		if err := u.node(parent, base, h); err != nil {
			return &os.PathError{Op: "unpack", Path: path.Join(u.options.Dir, name), Err: err}
		}
	}
	if h.Typeflag == tar.TypeLink { // the file has its attributes
		return nil
	}
	made, err := openAt(parent, base)
	if err != nil {
		return err
	}
	defer made.Close()
	return u.attributes(made, h)
}

// clear makes room for an entry; it reports whether a directory is there that
// stays.
func (u *unpacker) clear(parent *os.File, base, name string, dir bool) (there bool, err error) {
	var st unix.Stat_t
	err = unix.Fstatat(int(parent.Fd()), base, &st, unix.AT_SYMLINK_NOFOLLOW)
	if errors.Is(err, unix.ENOENT) {
		return false, nil
	}
	full := path.Join(u.options.Dir, name)
	if err != nil {
		return false, &os.PathError{Op: "stat", Path: full, Err: err}
	}
	isDir := st.Mode&unix.S_IFMT == unix.S_IFDIR
	switch {
	case isDir && dir:
		return true, nil
	case u.options.NoOverwriteDirNonDir && isDir:
		return false, invalid("cannot overwrite directory %q with non-directory %q", full, u.options.Dir)
	case u.options.NoOverwriteDirNonDir && dir:
		return false, invalid("cannot overwrite non-directory %q with directory %q", full, u.options.Dir)
	}
	return false, remove(parent, base, full, maxDepth)
}

// node makes what is no regular file.
func (u *unpacker) node(parent *os.File, base string, h *tar.Header) error {
	dir, mode := int(parent.Fd()), uint32(h.Mode)&0o7777
	switch h.Typeflag {
	case tar.TypeDir:
		return unix.Mkdirat(dir, base, mode)
	case tar.TypeSymlink:
		return unix.Symlinkat(h.Linkname, dir, base)
	case tar.TypeLink:
		return u.link(dir, base, h)
	case tar.TypeFifo:
		return unix.Mknodat(dir, base, mode|unix.S_IFIFO, 0)
	case tar.TypeChar, tar.TypeBlock:
		if h.Typeflag == tar.TypeBlock {
			mode |= unix.S_IFBLK
		} else {
			mode |= unix.S_IFCHR
		}
		return unix.Mknodat(dir, base, mode, int(unix.Mkdev(uint32(h.Devmajor), uint32(h.Devminor))))
	}
	return invalid("entries of type %q are not supported", h.Typeflag)
}

// link makes another name of a file below Dir.
func (u *unpacker) link(dir int, base string, h *tar.Header) error {
	target, err := inside(h.Linkname, u.options.Dir)
	if err != nil {
		return err
	}
	from, err := u.view.open(path.Join(u.options.Dir, path.Dir(target)), unix.O_PATH|unix.O_DIRECTORY)
	if err != nil {
		return err
	}
	defer from.Close()
	return unix.Linkat(int(from.Fd()), path.Base(target), dir, base, 0)
}

// file makes a regular file. It writes only to one that it has made.
func (u *unpacker) file(ctx context.Context, parent *os.File, base string, h *tar.Header) error {
	fd, err := unix.Openat(int(parent.Fd()), base, unix.O_CREAT|unix.O_EXCL|unix.O_WRONLY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0o600)
	if err != nil {
		return &os.PathError{Op: "create", Path: path.Join(u.dir, base), Err: err}
	}
	f := os.NewFile(uintptr(fd), path.Join(u.dir, base))
	defer f.Close()
	write := f.Write
	if isSparse(h) {
		if err := u.reserve(f, h); err != nil {
			return err
		}
		write = func(p []byte) (int, error) { return writeSparse(f, p) }
	}
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		n, err := u.archive.Read(u.buf)
		if _, err := write(u.buf[:n]); err != nil {
			return err
		}
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return invalid("cannot read the archive: %v", err)
		}
	}
	if err := u.attributes(f, h); err != nil {
		return err
	}
	return f.Close()
}

// invalid is a mistake of the client's.
func invalid(format string, args ...any) error {
	return errdefs.ErrInvalidArgument.WithMessage(fmt.Sprintf(format, args...))
}
