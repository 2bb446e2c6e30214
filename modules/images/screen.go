package images

import (
	"archive/tar"
	"bufio"
	"fmt"
	"io"
	"path"
	"strings"

	"github.com/containerd/errdefs"
)

// Bounds of what an image archive may hold: of each entry something is kept in
// memory, and its metadata are read into it.
const (
	maxEntries = 100_000
	maxName    = 4096
	// maxDescription bounds an archive's manifest.json, in bytes.
	maxDescription = 2 << 20
)

// screening is an archive of which only what belongs into one is passed on:
// files, and the links by which older archives name a layer twice. Devices and
// the like are left out, and what would be too much for memory is refused.
type screening struct {
	*io.PipeReader
	ended chan struct{}
}

// screened reads r until it ends or Close is called.
func screened(r io.Reader) *screening {
	out, in := io.Pipe()
	s := &screening{out, make(chan struct{})}
	go func() {
		defer close(s.ended)
		buffered := bufio.NewWriterSize(in, 64<<10)
		err := screen(r, buffered)
		if err == nil {
			err = buffered.Flush()
		}
		_ = in.CloseWithError(err)
	}()
	return s
}

// Close ends the screening. It waits until r is not read any more, which what
// r reads from has to bound.
func (s *screening) Close() error {
	err := s.PipeReader.Close()
	<-s.ended
	return err
}

func screen(r io.Reader, w io.Writer) error {
	from, to := tar.NewReader(r), tar.NewWriter(w)
	for entries := 0; ; entries++ {
		h, err := from.Next()
		if err == io.EOF {
			return to.Close()
		}
		if err != nil {
			return err
		}
		switch name := path.Clean(h.Name); {
		case entries == maxEntries:
			return tooMuch("more than %d entries", maxEntries)
		case len(h.Name) > maxName || len(h.Linkname) > maxName:
			return tooMuch("a name of more than %d bytes", maxName)
		case (name == "manifest.json" || name == "oci-layout") && h.Size > maxDescription:
			return tooMuch("a %s of %d bytes: it may have %d", name, h.Size, maxDescription)
		case isSparse(h):
			return tooMuch("a file with holes, %q, whose size nothing bounds", h.Name)
		case h.Typeflag != tar.TypeReg && h.Typeflag != tar.TypeSymlink:
			continue
		}
		plain := tar.Header{Typeflag: h.Typeflag, Name: h.Name, Linkname: h.Linkname, Size: h.Size, Mode: 0o644}
		if err := to.WriteHeader(&plain); err != nil {
			return err
		}
		if _, err := io.Copy(to, from); err != nil {
			return err
		}
	}
}

// isSparse tells a file of which an archive has only some parts.
func isSparse(h *tar.Header) bool {
	for key := range h.PAXRecords {
		if strings.HasPrefix(key, "GNU.sparse.") {
			return true
		}
	}
	return h.Typeflag == tar.TypeGNUSparse
}

func tooMuch(format string, args ...any) error {
	return errdefs.ErrInvalidArgument.WithMessage("the archive has " + fmt.Sprintf(format, args...))
}
