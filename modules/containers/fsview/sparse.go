package fsview

import (
	"archive/tar"
	"bytes"
	"io"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// A sparse file of an archive has holes, which take no room in it but are read
// as zeroes: a few bytes can stand for more than any disk has.

// isSparse tells the files that GNU tar writes so in the POSIX format; those
// of its own format are of a type that is refused.
func isSparse(h *tar.Header) bool {
	for key := range h.PAXRecords {
		if strings.HasPrefix(key, "GNU.sparse.") {
			return true
		}
	}
	return false
}

// reserve gives a sparse file its size. All of an archive together may not be
// larger than what is free, so that they can be filled later, and reading their
// holes ends.
func (u *unpacker) reserve(f *os.File, h *tar.Header) error {
	var st unix.Statfs_t
	if err := unix.Fstatfs(int(f.Fd()), &st); err != nil {
		return &os.PathError{Op: "statfs", Path: f.Name(), Err: err}
	}
	if free := int64(st.Bavail) * st.Bsize; h.Size > free-u.sparse {
		return &os.PathError{Op: "unpack", Path: f.Name(), Err: unix.ENOSPC}
	}
	u.sparse += h.Size
	return f.Truncate(h.Size)
}

// writeSparse leaves a hole for zeroes.
func writeSparse(f *os.File, p []byte) (int, error) {
	if len(p) == 0 || p[0] != 0 || !bytes.Equal(p[1:], p[:len(p)-1]) {
		return f.Write(p)
	}
	_, err := f.Seek(int64(len(p)), io.SeekCurrent)
	return len(p), err
}
