package stdio

import (
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// Spool is a file through which a stream passes on its way from the process
// to the log, so that a daemon that is killed loses none of it: the kernel
// moves output from the pipe to the end of the file in one step (splice(2)),
// and what has left the pipe is in the file.
//
// The file's size is all that the process ever wrote, over all of its runs;
// what was logged is punched out of it, so that it takes little room. Where it
// goes on after a crash, the log tells.
type Spool struct {
	file *os.File

	mu      sync.Mutex
	end     int64 // what has left the pipe
	punched int64 // what the file no longer holds
	failed  bool  // nothing can be punched out here
}

// punchStep is how much room a spool may take beyond what is not logged yet.
const punchStep = 64 << 10

// OpenSpool opens the spool at path, or makes it.
func OpenSpool(path string) (*Spool, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	fi, err := f.Stat()
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return &Spool{file: f, end: fi.Size()}, nil
}

// Size is how much the process has written so far.
func (s *Spool) Size() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.end
}

// Close closes the file. The readers must have ended.
func (s *Spool) Close() error { return s.file.Close() }

// Logged says that the log holds all before offset.
func (s *Spool) Logged(offset int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.failed || offset-s.punched < punchStep {
		return
	}
	// A file system that cannot do this has the output twice.
	err := unix.Fallocate(int(s.file.Fd()), unix.FALLOC_FL_PUNCH_HOLE|unix.FALLOC_FL_KEEP_SIZE, s.punched, offset-s.punched)
	s.failed = err != nil
	s.punched = offset
}

// Holds tells whether the file has all from offset to its end.
func (s *Spool) Holds(offset int64) bool {
	size := s.Size()
	if offset < 0 || offset >= size {
		return offset == size
	}
	hole, err := unix.Seek(int(s.file.Fd()), offset, unix.SEEK_HOLE)
	return err == nil && hole == size
}

// Through returns a reader of the pipe's output from offset on, which Holds:
// first what the file has, then what comes. There is one at a time.
func (s *Spool) Through(pipe io.Reader, offset int64) (io.Reader, error) {
	conn, ok := pipe.(syscall.Conn)
	if !ok {
		return nil, fmt.Errorf("spool %s: a %T has no descriptor", s.file.Name(), pipe)
	}
	raw, err := conn.SyscallConn()
	if err != nil {
		return nil, err
	}
	return &spoolReader{spool: s, pipe: pipe, raw: raw, next: offset}, nil
}

// spoolReader reads one run's output.
type spoolReader struct {
	spool  *Spool
	pipe   io.Reader
	raw    syscall.RawConn
	next   int64 // offset of what Read returns next
	direct bool  // past the file, which takes no more
}

func (r *spoolReader) Read(p []byte) (int, error) {
	if r.direct {
		return r.pipe.Read(p)
	}
	s := r.spool
	if r.next == s.Size() {
		err := s.fill(r.raw, len(p))
		if errors.Is(err, errNoRoom) {
			r.direct = true // the process must not stand still for our disk
			return r.pipe.Read(p)
		}
		if err != nil {
			return 0, err
		}
	}
	n, err := s.file.ReadAt(p[:min(int64(len(p)), s.Size()-r.next)], r.next)
	r.next += int64(n)
	return n, err
}

// errNoRoom is the error of a file that cannot take what the pipe has.
var errNoRoom = errors.New("cannot write")

// fill moves at most n bytes from the pipe to the end of the file. It waits
// for the first; io.EOF is the end of the output.
func (s *Spool) fill(pipe syscall.RawConn, n int) error {
	var moved int64
	var failure error
	err := pipe.Read(func(fd uintptr) bool {
		for {
			at := s.Size()
			moved, failure = unix.Splice(int(fd), nil, int(s.file.Fd()), &at, n, unix.SPLICE_F_MOVE|unix.SPLICE_F_NONBLOCK)
			if failure != unix.EINTR {
				return failure != unix.EAGAIN
			}
		}
	})
	switch {
	case err != nil:
		return err
	case failure != nil:
		return fmt.Errorf("spool %s: %w: %w", s.file.Name(), errNoRoom, failure)
	case moved == 0:
		return io.EOF
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.end += moved
	return nil
}
