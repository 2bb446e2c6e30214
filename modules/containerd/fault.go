package containerd

import (
	"errors"
	"fmt"
	"io/fs"

	"golang.org/x/sys/unix"
)

// explain adds what to do about the failures of a start that are common.
func explain(err error) error {
	where := "the data root or the exec root"
	if p := (*fs.PathError)(nil); errors.As(err, &p) {
		where = p.Path
	}
	switch {
	case errors.Is(err, unix.EROFS):
		return fmt.Errorf("%s is on a read-only filesystem: choose other directories with --data-root and --exec-root: %w", where, err)
	case errors.Is(err, unix.ENOSPC), errors.Is(err, unix.EDQUOT):
		return fmt.Errorf("the disk of %s is full: free some space, or choose other directories with --data-root and --exec-root: %w", where, err)
	case errors.Is(err, unix.EACCES), errors.Is(err, unix.EPERM):
		return fmt.Errorf("no permission for %s: start the daemon as root, outside of other containers or in a privileged one: %w", where, err)
	case errors.Is(err, unix.ENOTDIR):
		return fmt.Errorf("%s is in the way and is no directory: remove it, or choose other directories with --data-root and --exec-root: %w", where, err)
	}
	return err
}
