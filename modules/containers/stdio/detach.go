package stdio

import (
	"errors"
	"io"

	"github.com/containerd/errdefs"
	"github.com/moby/term"
)

// DefaultDetachKeys end an attachment: ctrl-p ctrl-q.
const DefaultDetachKeys = "ctrl-p,ctrl-q"

// Detachable returns a reader that ends with a detach error at the keys, which
// are those of Docker's --detach-keys; empty means the default.
func Detachable(r io.Reader, keys string) (io.Reader, error) {
	if keys == "" {
		keys = DefaultDetachKeys
	}
	bytes, err := term.ToBytes(keys)
	if err != nil {
		return nil, errdefs.ErrInvalidArgument.WithMessage("Invalid detach keys (" + keys + ") provided: " + err.Error())
	}
	return term.NewEscapeProxy(r, bytes), nil
}

// IsDetach tells whether reading ended at the detach keys.
func IsDetach(err error) bool { return errors.As(err, new(term.EscapeError)) }
