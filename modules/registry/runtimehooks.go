package registry

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
)

// RuntimeHook is one program that runs in the runtime's namespace before a
// container's process.
type RuntimeHook struct {
	// Priority decides when: setting up the network has priority 0.
	Priority int
	// Path is the absolute path of the program.
	Path string
	// Args is its argv, with argv[0].
	Args []string
}

// RuntimeHooks gives the results of PreStart their meaning: the hooks in the
// order in which they run, biggest priority first, and those of one priority
// as they were given. It reports lists of unequal lengths, empty entries, and
// paths that are relative or do not exist.
func RuntimeHooks(priorities []int, args [][]string) ([]RuntimeHook, error) {
	if len(priorities) != len(args) {
		return nil, fmt.Errorf("it returned %d priorities for %d runtime hooks: return one for each", len(priorities), len(args))
	}
	hooks := make([]RuntimeHook, len(args))
	for i, a := range args {
		if len(a) == 0 || a[0] == "" {
			return nil, fmt.Errorf("runtime hook %d is empty: its first element must be the path of the program", i)
		}
		if err := executable(a[0]); err != nil {
			return nil, fmt.Errorf("runtime hook %d: %w", i, err)
		}
		hooks[i] = RuntimeHook{Priority: priorities[i], Path: a[0], Args: a[1:]}
		if len(a) == 1 {
			hooks[i].Args = []string{a[0]}
		}
	}
	slices.SortStableFunc(hooks, func(a, b RuntimeHook) int { return cmp.Compare(b.Priority, a.Priority) })
	return hooks, nil
}

func executable(path string) error {
	if !filepath.IsAbs(path) {
		return fmt.Errorf("the path %q is relative: give an absolute one", path)
	}
	info, err := os.Stat(path)
	if err != nil {
		var pathErr *os.PathError
		if errors.As(err, &pathErr) {
			err = pathErr.Err
		}
		return fmt.Errorf("the program %s: %w", path, err)
	}
	if !info.Mode().IsRegular() || info.Mode()&0o111 == 0 {
		return fmt.Errorf("%s is not an executable file", path)
	}
	return nil
}
