package stdio

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// Spool is a file through which a stream passes on its way from the process
// to the log, so that a daemon that is killed loses none of it: the kernel
// moves output from the pipe to the end of the file in one step (splice(2)),
// and what has left the pipe is in the file.
//
// Offsets count what the process ever wrote, over all of its runs. What was
// logged is punched out of the file, so that it takes little room. Where it
// goes on after a crash, the log tells; the file remembers it too, a little
// later, for when somebody has emptied the log.
//
// A Spool has one reader and is not safe for use by several goroutines.
type Spool struct {
	file    *os.File
	base    int64 // offset of the file's first byte of output
	end     int64 // what has left the pipe
	next    int64 // what is read next
	punched int64 // place in the file before which nothing is left
	keep    bool  // nothing can be punched out here
}

const (
	// spoolHeader is the room for what the file remembers: a magic number, the
	// base, and how much was logged. It is as large as a block.
	spoolHeader = 4096
	spoolMagic  = "pxspool1"
	// punchStep is how much room a spool may take beyond what is not logged yet.
	punchStep = 64 << 10
	// spoolLimit is the size beyond which a file begins again, well before the
	// longest that file systems allow.
	spoolLimit = 1 << 30
	// spliceSize is how much is moved at once, at most a pipe's content.
	spliceSize = 1 << 20
)

// OpenSpool opens the spool at path, or makes it. logged is the offset up to
// which the log has the output, as far as it knows.
func OpenSpool(path string, logged int64) (_ *Spool, err error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, f.Close())
		}
	}()
	s := &Spool{file: f, punched: spoolHeader}
	remembered, err := s.load()
	if err != nil {
		return nil, err
	}
	s.next = max(logged, remembered, 0)
	if s.next > s.end { // the file is new, or was tampered with
		return s, s.skip(s.next - s.end)
	}
	return s, nil
}

// load reads what the file remembers. A file that is none of ours is emptied.
func (s *Spool) load() (logged int64, err error) {
	var header [24]byte
	n, err := s.file.ReadAt(header[:], 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return 0, err
	}
	info, err := s.file.Stat()
	if err != nil {
		return 0, err
	}
	base, logged := int64(binary.LittleEndian.Uint64(header[8:])), int64(binary.LittleEndian.Uint64(header[16:]))
	if n < len(header) || string(header[:8]) != spoolMagic || base < 0 || logged < base || info.Size() < spoolHeader {
		return 0, s.restart(0)
	}
	s.base, s.end = base, base+info.Size()-spoolHeader
	return logged, nil
}

// restart empties the file; its next byte is that at offset. A crash between
// the two steps leaves a file that ends before what is logged, which OpenSpool
// mends.
func (s *Spool) restart(offset int64) error {
	if err := s.file.Truncate(spoolHeader); err != nil {
		return err
	}
	s.base, s.end, s.next, s.punched = offset, offset, offset, spoolHeader
	return s.remember(offset)
}

// remember notes in the file that what is before offset is not needed any more.
func (s *Spool) remember(offset int64) error {
	header := binary.LittleEndian.AppendUint64([]byte(spoolMagic), uint64(s.base))
	_, err := s.file.WriteAt(binary.LittleEndian.AppendUint64(header, uint64(offset)), 0)
	return err
}

// skip notes that n bytes passed without being in the file.
func (s *Spool) skip(n int64) error {
	s.end += n
	s.next = s.end
	if err := s.file.Truncate(s.at(s.end)); err != nil {
		return err
	}
	return s.remember(s.end)
}

// at is the place of an offset in the file.
func (s *Spool) at(offset int64) int64 { return spoolHeader + offset - s.base }

// Offset is that of what is read next.
func (s *Spool) Offset() int64 { return s.next }

// Close closes the file. The reader must have ended.
func (s *Spool) Close() error { return s.file.Close() }

// Logged says that the log holds all before offset.
func (s *Spool) Logged(offset int64) error {
	if offset == s.end && offset-s.base >= spoolLimit {
		return s.restart(offset)
	}
	if err := s.remember(offset); err != nil {
		return err
	}
	done := s.at(min(offset, s.end)) / spoolHeader * spoolHeader // whole blocks: parts would be written
	if s.keep || done-s.punched < punchStep {
		return nil
	}
	// A file system that cannot do this has the output twice, for a while.
	err := unix.Fallocate(int(s.file.Fd()), unix.FALLOC_FL_PUNCH_HOLE|unix.FALLOC_FL_KEEP_SIZE, s.punched, done-s.punched)
	s.keep = err != nil
	s.punched = done
	return nil
}

// Through returns a reader of a process's output: first what the file has and
// the log has not, then what comes from the pipe, which may be nil. When the
// file cannot take it, output passes by the file, and report is told: the
// process must not stand still for our disk.
func (s *Spool) Through(pipe io.Reader, report func(error)) (io.Reader, error) {
	r := &spoolReader{spool: s, pipe: pipe, report: report}
	if pipe == nil {
		return r, nil
	}
	conn, ok := pipe.(syscall.Conn)
	if !ok {
		return nil, fmt.Errorf("spool %s: a %T has no descriptor", s.file.Name(), pipe)
	}
	var err error
	r.raw, err = conn.SyscallConn()
	return r, err
}

// spoolReader reads one run's output.
type spoolReader struct {
	spool  *Spool
	pipe   io.Reader
	raw    syscall.RawConn // nil without a pipe
	report func(error)
}

func (r *spoolReader) Read(p []byte) (int, error) {
	s := r.spool
	for s.next == s.end {
		if r.raw == nil {
			return 0, io.EOF
		}
		err := s.fill(r.raw)
		if errors.Is(err, errNoRoom) {
			r.report(err)
			return r.readPast(p)
		}
		if err != nil {
			return 0, err
		}
	}
	n, err := s.file.ReadAt(p[:min(int64(len(p)), s.end-s.next)], s.at(s.next))
	s.next += int64(n)
	if n > 0 {
		return n, nil
	}
	// Somebody cut the file, or the disk fails. What it had is lost; what
	// comes must not be.
	r.report(fmt.Errorf("spool %s: %d bytes of output are lost: %w", s.file.Name(), s.end-s.next, err))
	s.next = s.end
	return r.Read(p)
}

// readPast reads what the file cannot take.
func (r *spoolReader) readPast(p []byte) (int, error) {
	n, err := r.pipe.Read(p)
	if n > 0 {
		if err := r.spool.skip(int64(n)); err != nil {
			r.report(err)
		}
	}
	return n, err
}

// errNoRoom is the error of a file that cannot take what the pipe has.
var errNoRoom = errors.New("cannot write")

// fill moves what the pipe has to the end of the file. It waits for something;
// io.EOF is the end of the output.
func (s *Spool) fill(pipe syscall.RawConn) error {
	var moved int64
	var failure error
	err := pipe.Read(func(fd uintptr) bool {
		for {
			at := s.at(s.end)
			moved, failure = unix.Splice(int(fd), nil, int(s.file.Fd()), &at, spliceSize, unix.SPLICE_F_MOVE|unix.SPLICE_F_NONBLOCK)
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
	s.end += moved
	return nil
}
