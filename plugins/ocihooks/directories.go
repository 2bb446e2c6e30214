package ocihooks

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"
)

// directories are those with files of hooks, and what the files say.
type directories struct {
	paths   []string // a name in a later one replaces that of an earlier one
	ignored []string // stages

	mu    sync.Mutex
	seen  []version // the directories and files when they were read; nil when they may change unseen
	hooks []*file
}

// version tells whether what is at a path is what was there before.
type version struct {
	path string
	info fs.FileInfo // nil where there was nothing
}

func look(path string) (version, error) {
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return version{path, nil}, nil
	}
	return version{path, info}, err
}

func (v version) holds() bool {
	now, err := look(v.path)
	if err != nil || now.info == nil || v.info == nil {
		return err == nil && now.info == v.info
	}
	return os.SameFile(v.info, now.info) && v.info.Size() == now.info.Size() && v.info.ModTime().Equal(now.info.ModTime())
}

// settled reports whether the next change shows in the time of the file for
// sure.
func (v version) settled() bool { return v.info == nil || time.Since(v.info.ModTime()) > time.Second }

func newDirectories(c Config) *directories {
	return &directories{paths: c.Directories, ignored: c.IgnoreStages}
}

// read returns the hooks in their order, as they are at this moment. One file
// that cannot be followed is an error: its author counts on it.
func (d *directories) read() ([]*file, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.seen != nil && !slices.ContainsFunc(d.seen, func(v version) bool { return !v.holds() }) {
		return d.hooks, nil
	}
	d.seen = nil
	seen, files, err := d.list()
	if err != nil {
		return nil, err
	}
	hooks := []*file{}
	for _, path := range files {
		v, err := look(path)
		switch {
		case err != nil:
			return nil, err
		case v.info == nil: // it has just gone, or what it leads to has
		case !v.info.Mode().IsRegular(): // reading from a pipe would never end
			return nil, fmt.Errorf("%s: is not a regular file", path)
		default:
			text, err := content(path)
			if err != nil {
				return nil, err
			}
			f, err := parse(path, text, d.ignored)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", path, err)
			}
			if f != nil {
				hooks = append(hooks, f)
			}
		}
		seen = append(seen, v)
	}
	d.hooks = hooks
	if !slices.ContainsFunc(seen, func(v version) bool { return !v.settled() }) {
		d.seen = seen
	}
	return hooks, nil
}

// list returns the directories, and the files that count in the order of their
// names in lower case.
func (d *directories) list() (seen []version, files []string, err error) {
	byName := map[string]string{}
	for _, dir := range d.paths {
		v, err := look(dir) // before it is read: what comes later is a change
		if err != nil {
			return nil, nil, err
		}
		seen = append(seen, v)
		entries, err := os.ReadDir(dir)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, nil, err
		}
		for _, e := range entries {
			if strings.HasSuffix(e.Name(), ".json") && !e.IsDir() {
				byName[e.Name()] = filepath.Join(dir, e.Name())
			}
		}
	}
	names := slices.SortedFunc(maps.Keys(byName), func(a, b string) int {
		return cmp.Or(strings.Compare(strings.ToLower(a), strings.ToLower(b)), strings.Compare(a, b))
	})
	for _, name := range names {
		files = append(files, byName[name])
	}
	return seen, files, nil
}

// maxFile bounds a file, in bytes.
const maxFile = 1 << 20

func content(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if len(text) > maxFile {
		err = fmt.Errorf("%s: is larger than %d MiB", path, maxFile>>20)
	}
	return text, err
}

// runnable reports a program that is not there. The runtime would say so, too,
// but not of which hook.
func runnable(path string) error {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() || info.Mode()&0o111 == 0 {
		return fmt.Errorf("%s is not an executable file", path)
	}
	return nil
}
