package images

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// isFull tells whether a disk without room is why something failed.
func isFull(err error) bool { return errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.EDQUOT) }

// explain adds what to do about a full disk, where images often end.
func explain(err error) error {
	if !isFull(err) {
		return err
	}
	return fmt.Errorf("the disk of the data root is full, free some space: %w", err)
}
