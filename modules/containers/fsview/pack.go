package fsview

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"slices"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

const (
	capability  = "security.capability"
	xattrPrefix = "SCHILY.xattr." // of tar's records
)

// Pack writes what is at an absolute path as a tar archive. A directory comes
// with all that is in it; a link is not followed, unless the path ends in / or
// /. . The entries are named for the path's last part, as docker cp wants it.
func (v *View) Pack(ctx context.Context, w io.Writer, name string) error {
	base := path.Base(name)
	if name == "/." {
		base = "."
	}
	p := newPacker(ctx, v, w)
	if err := p.add(name, base); err != nil {
		return err
	}
	return p.tar.Close()
}

// PackAll writes the whole root, without an entry for the root itself.
func (v *View) PackAll(ctx context.Context, w io.Writer) error {
	p := newPacker(ctx, v, w)
	root, err := v.open("/", unix.O_PATH)
	if err != nil {
		return err
	}
	defer root.Close()
	names, err := list(root)
	if err != nil {
		return err
	}
	if err := p.children(names, "/", ""); err != nil {
		return err
	}
	return p.tar.Close()
}

// packer writes one archive.
type packer struct {
	ctx   context.Context
	view  *View
	tar   *tar.Writer
	links map[inode]string // entries of files with several names
	buf   []byte
}

type inode struct{ dev, ino uint64 }

func newPacker(ctx context.Context, v *View, w io.Writer) *packer {
	return &packer{ctx: ctx, view: v, tar: tar.NewWriter(w), links: make(map[inode]string), buf: make([]byte, 64<<10)}
}

// add writes the entries of what is at a path.
func (p *packer) add(name, entry string) error {
	if err := p.ctx.Err(); err != nil {
		return err
	}
	f, err := p.view.open(name, unix.O_PATH|unix.O_NOFOLLOW)
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	h, err := p.header(f, info, entry)
	if h == nil || err != nil { // a socket cannot be packed
		return err
	}
	switch {
	case h.Typeflag == tar.TypeReg:
		return p.file(f, h)
	case h.Typeflag != tar.TypeDir:
		return p.tar.WriteHeader(h)
	}
	if err := p.tar.WriteHeader(h); err != nil {
		return err
	}
	names, err := list(f)
	f.Close() // not one descriptor for each level of a deep tree
	if err != nil {
		return err
	}
	return p.children(names, name, h.Name)
}

// header describes an open file; nil for what has no place in an archive.
func (p *packer) header(f *os.File, info fs.FileInfo, entry string) (*tar.Header, error) {
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return nil, fmt.Errorf("%s: the system tells nothing of it", f.Name())
	}
	h := &tar.Header{
		Name: entry, Mode: int64(st.Mode & 0o7777), Uid: int(st.Uid), Gid: int(st.Gid),
		ModTime: time.Unix(st.Mtim.Sec, 0), Format: tar.FormatPAX,
	}
	switch st.Mode & unix.S_IFMT {
	case unix.S_IFDIR:
		h.Typeflag = tar.TypeDir
		if h.Name == "" || h.Name[len(h.Name)-1] != '/' {
			h.Name += "/"
		}
		return h, nil
	case unix.S_IFREG:
		h.Typeflag, h.Size = tar.TypeReg, st.Size
		h.PAXRecords = capabilities(f)
	case unix.S_IFLNK:
		target, err := linkTarget(f)
		h.Typeflag, h.Linkname = tar.TypeSymlink, target
		return h, err
	case unix.S_IFCHR, unix.S_IFBLK:
		h.Typeflag = tar.TypeChar
		if st.Mode&unix.S_IFMT == unix.S_IFBLK {
			h.Typeflag = tar.TypeBlock
		}
		h.Devmajor, h.Devminor = int64(unix.Major(st.Rdev)), int64(unix.Minor(st.Rdev))
	case unix.S_IFIFO:
		h.Typeflag = tar.TypeFifo
	default:
		return nil, nil
	}
	if st.Nlink < 2 {
		return h, nil
	}
	same := inode{st.Dev, st.Ino}
	if first, ok := p.links[same]; ok {
		h.Typeflag, h.Linkname, h.Size, h.PAXRecords = tar.TypeLink, first, 0, nil
		return h, nil
	}
	p.links[same] = h.Name
	return h, nil
}

func capabilities(f *os.File) map[string]string {
	buf := make([]byte, 256)
	n, err := unix.Getxattr(itself(f), capability, buf)
	if err != nil || n == 0 {
		return nil
	}
	return map[string]string{xattrPrefix + capability: string(buf[:n])}
}

// file writes a regular file of the size in its header: one that grows is cut,
// one that shrinks is filled up with zeroes.
func (p *packer) file(f *os.File, h *tar.Header) error {
	from, err := os.OpenFile(itself(f), os.O_RDONLY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return &os.PathError{Op: "open", Path: f.Name(), Err: errors.Unwrap(err)}
	}
	defer from.Close()
	if err := p.tar.WriteHeader(h); err != nil {
		return err
	}
	for left := h.Size; left > 0; {
		if err := p.ctx.Err(); err != nil {
			return err
		}
		part := p.buf[:min(left, int64(len(p.buf)))]
		n, err := io.ReadFull(from, part)
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			clear(part[n:])
		} else if err != nil {
			return &os.PathError{Op: "read", Path: f.Name(), Err: errors.Unwrap(err)}
		}
		if _, err := p.tar.Write(part); err != nil {
			return err
		}
		left -= int64(len(part))
	}
	return nil
}

// list returns the names in an open directory, sorted.
func list(f *os.File) ([]string, error) {
	dir, err := os.OpenFile(itself(f), os.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, &os.PathError{Op: "open", Path: f.Name(), Err: errors.Unwrap(err)}
	}
	defer dir.Close()
	names, err := dir.Readdirnames(-1)
	slices.Sort(names)
	return names, err
}

// children writes what is in a directory, with entry before the names. What
// vanishes meanwhile is left out.
func (p *packer) children(names []string, dir, entry string) error {
	for _, name := range names {
		if err := p.add(path.Join(dir, name), entry+name); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}
