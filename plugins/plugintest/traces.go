package plugintest

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"go.uber.org/goleak"
	"golang.org/x/sys/unix"

	"github.com/pouchfx/pouchfx/modules/guard"
)

// traces is what a process has, to be compared with what it has later.
type traces struct {
	goroutines goleak.Option
	files      map[string]string
}

func takeTraces() traces { return traces{goleak.IgnoreCurrent(), openFiles()} }

// left reports goroutines and file descriptors that were not there before. It
// waits a while for those that are about to end.
func (t traces) left() error {
	err := goleak.Find(t.goroutines)
	if err != nil {
		err = fmt.Errorf("it leaves goroutines: %w", err)
	}
	var more []string
	for range 20 {
		more = nil
		for fd, what := range openFiles() {
			if t.files[fd] != what && !strings.HasPrefix(what, "anon_inode:") { // the runtime's own
				more = append(more, fd+" "+what)
			}
		}
		if more == nil {
			return err
		}
		time.Sleep(10 * time.Millisecond)
	}
	slices.Sort(more)
	return errors.Join(err, fmt.Errorf("it leaves file descriptors: %s", strings.Join(more, ", ")))
}

// openFiles are the descriptors of this process with what they lead to.
func openFiles() map[string]string {
	found := map[string]string{}
	entries, _ := os.ReadDir("/proc/self/fd")
	for _, e := range entries {
		if what, err := os.Readlink("/proc/self/fd/" + e.Name()); err == nil {
			found[e.Name()] = what
		}
	}
	return found
}

// withoutFiles runs f while this process cannot open anything more.
func withoutFiles(f func() error) error {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return err
	}
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: 0, Max: limit.Max}); err != nil {
		return err
	}
	err := f()
	if back := unix.Setrlimit(unix.RLIMIT_NOFILE, &limit); back != nil {
		panic(back)
	}
	return err
}

// opens reports whether an error is that of one who may open nothing.
func opens(err error) bool { return errors.Is(err, syscall.EMFILE) }

// written lists what is below dir.
func written(dir string) (files []string, err error) {
	err = filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
		if err == nil && path != dir {
			files = append(files, strings.TrimPrefix(path, dir+"/"))
		}
		return err
	})
	return files, err
}

// told adds the stack to the error of a panic, which is a broken promise.
func told(err error) error {
	var p *guard.PanicError
	if errors.As(err, &p) {
		return breaks("%w\n%s", err, p.Stack)
	}
	return err
}
