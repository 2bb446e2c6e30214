package fsview

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"
	"syscall"

	"github.com/moby/moby/api/types/container"
	"golang.org/x/sys/unix"
)

// Changes compares a root filesystem with the one it began as, nil for an
// empty one, and lists by path what was added, modified and deleted, and the
// directories in which that is. upper, if not nil, is the directory of an
// overlay that holds the changes: only what is in it is compared. What is in
// ignored, with what is in it, is not reported as added.
func Changes(ctx context.Context, now, before, upper *View, ignored ...string) ([]container.FilesystemChange, error) {
	w := &walk{ctx: ctx, now: now, before: before, upper: upper, ignored: ignored}
	if _, err := w.dir("/", true, before != nil); err != nil {
		return nil, err
	}
	slices.SortFunc(w.found, func(a, b container.FilesystemChange) int { return strings.Compare(a.Path, b.Path) })
	return w.found, nil
}

// walk is one comparison.
type walk struct {
	ctx                context.Context
	now, before, upper *View
	ignored            []string
	found              []container.FilesystemChange
}

func (w *walk) add(kind container.ChangeType, name string) {
	w.found = append(w.found, container.FilesystemChange{Kind: kind, Path: name})
}

// dir compares what is in a directory that is there now. hinted says that upper
// has all that differs, wasDir that it was a directory before. It reports
// whether anything was found.
func (w *walk) dir(name string, hinted, wasDir bool) (bool, error) {
	if err := w.ctx.Err(); err != nil {
		return false, err
	}
	count := len(w.found)
	names, hinted, err := w.names(name, hinted, wasDir)
	if err != nil {
		return false, err
	}
	for _, n := range names {
		if err := w.entry(path.Join(name, n), hinted, wasDir); err != nil {
			return false, err
		}
	}
	return len(w.found) > count, nil
}

// names are those in a directory that may differ, and whether upper told.
func (w *walk) names(dir string, hinted, wasDir bool) ([]string, bool, error) {
	if w.upper != nil && hinted {
		f, err := w.upper.open(dir, unix.O_PATH|unix.O_NOFOLLOW|unix.O_DIRECTORY)
		if err == nil {
			defer f.Close()
			// Of a directory that was renamed, or that replaced another, upper
			// does not tell what is missing.
			if !hasXattr(f, "trusted.overlay.opaque") && !hasXattr(f, "trusted.overlay.redirect") {
				names, err := list(f)
				return names, true, err
			}
		}
	}
	all, err := namesIn(w.now, dir)
	if err != nil || !wasDir {
		return all, false, err
	}
	old, err := namesIn(w.before, dir)
	all = append(all, old...)
	slices.Sort(all)
	return slices.Compact(all), false, err
}

func hasXattr(f *os.File, name string) bool {
	_, err := unix.Getxattr(itself(f), name, nil)
	return err == nil
}

// namesIn lists a directory; one that is gone is empty.
func namesIn(v *View, dir string) ([]string, error) {
	f, err := v.open(dir, unix.O_PATH|unix.O_NOFOLLOW|unix.O_DIRECTORY)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ENOTDIR) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return list(f)
}

// entry compares one name. inDir says that its directory was there before.
func (w *walk) entry(name string, hinted, inDir bool) error {
	var was *file
	var err error
	if inDir {
		if was, err = look(w.before, name); err != nil {
			return err
		}
	}
	is, err := look(w.now, name)
	if err != nil {
		return err
	}
	switch {
	case is == nil && was != nil:
		w.add(container.ChangeDelete, name)
		return nil
	case is == nil: // it came and went meanwhile
		return nil
	case was == nil && slices.Contains(w.ignored, name):
		return nil
	case was == nil:
		w.add(container.ChangeAdd, name)
	case is.differs(was):
		w.add(container.ChangeModify, name)
	}
	if !is.dir() {
		return nil
	}
	told := was == nil || is.differs(was)
	changed, err := w.dir(name, hinted, was != nil && was.dir())
	if changed && !told {
		w.add(container.ChangeModify, name)
	}
	return err
}

// file is what is compared of one.
type file struct {
	st           syscall.Stat_t
	capabilities string
}

// look returns nil for what is not there.
func look(v *View, name string) (*file, error) {
	f, err := v.open(name, unix.O_PATH|unix.O_NOFOLLOW)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ENOTDIR) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	found := new(file)
	if err := syscall.Fstat(int(f.Fd()), &found.st); err != nil {
		return nil, &os.PathError{Op: "stat", Path: name, Err: err}
	}
	if found.st.Mode&unix.S_IFMT == unix.S_IFREG {
		found.capabilities = capabilities(f)[xattrPrefix+capability]
	}
	return found, nil
}

func (f *file) dir() bool { return f.st.Mode&unix.S_IFMT == unix.S_IFDIR }

// differs is dockerd's rule: a change of the content is one of time or size.
func (f *file) differs(o *file) bool {
	a, b := &f.st, &o.st
	if a.Mode != b.Mode || a.Uid != b.Uid || a.Gid != b.Gid || a.Rdev != b.Rdev || f.capabilities != o.capabilities {
		return true
	}
	return !f.dir() && (a.Size != b.Size || a.Mtim != b.Mtim)
}
