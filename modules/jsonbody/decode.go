// Package jsonbody decodes the bodies of requests as dockerd does, and tells
// clients what is wrong with one in their words rather than in Go's.
//
// The API uses it for all bodies but that of an update, which the containers
// module decodes after the plugins had it.
package jsonbody

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/containerd/errdefs"
)

// Decode reads one JSON value and the end of the text into v, a pointer. Keys
// that v does not have are ignored. What is wrong with the text is an
// errdefs.ErrInvalidArgument that names the key; an empty text is io.EOF, and
// an error of r comes back as it is.
func Decode(r io.Reader, v any) error {
	source := &source{Reader: r}
	d := json.NewDecoder(source)
	err := d.Decode(v)
	if err == nil {
		if _, err = d.Token(); err == io.EOF {
			return nil
		}
		if source.err == nil {
			err = errors.New("unexpected content after JSON")
			return invalid(err)
		}
	}
	var wrongType *json.UnmarshalTypeError
	switch {
	case source.err != nil:
		return source.err
	case err == io.EOF:
		return err
	case errors.As(err, &wrongType):
		return invalid(fmt.Errorf("invalid JSON: %s: cannot use %s as %s", fieldOf(v, wrongType), wrongType.Value, kindOf(wrongType.Type)))
	}
	return invalid(fmt.Errorf("invalid JSON: %w", err))
}

func invalid(err error) error { return errdefs.ErrInvalidArgument.WithMessage(err.Error()) }

// source keeps the error of a reader other than its end.
type source struct {
	io.Reader
	err error
}

func (s *source) Read(p []byte) (int, error) {
	n, err := s.Reader.Read(p)
	if err != nil && err != io.EOF {
		s.err = err
	}
	return n, err
}
