package logfile

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"sync"
	"syscall"
	"time"
)

// Options are those of the json-file driver.
type Options struct {
	// MaxSize is the size in bytes at which a file is rotated; 0 means never.
	MaxSize int64
	// MaxFiles is how many files are kept; less than 1 means 1.
	MaxFiles int
	// Compress compresses the files that were rotated away, with gzip.
	Compress bool
}

// Log is a container's log. Its methods may be called at the same time.
type Log struct {
	path    string
	options Options

	mu      sync.Mutex
	opened  bool     // something is running
	file    *os.File // nil unless opened, and while it cannot be
	size    int64
	looked  time.Time     // when the file was last looked after
	rotated int           // how many files were rotated away since the Log was made
	changed chan struct{} // closed when there is more to read, or no more will come

	zipping    bool           // a goroutine compresses
	compressor sync.WaitGroup // that goroutine
}

// New returns the log at path. The file is made by Open.
func New(path string, o Options) *Log {
	o.MaxFiles = max(o.MaxFiles, 1)
	return &Log{path: path, options: o, changed: make(chan struct{})}
}

// Path is where the newest file is.
func (l *Log) Path() string { return l.path }

// Open makes the log ready for Append; readers that follow wait for more
// until Close. Half an entry that a crash left at the end is cut off. After an
// error Append tries again.
func (l *Log) Open() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.opened = true
	if l.file != nil {
		return nil
	}
	return l.open()
}

// open opens the newest file.
func (l *Log) open() error {
	f, err := os.OpenFile(l.path, os.O_RDWR|os.O_CREATE|os.O_APPEND, 0o640)
	if err != nil {
		return err
	}
	size, err := wholeEntries(f)
	if err == nil {
		err = f.Truncate(size)
	}
	if err != nil {
		f.Close()
		return fmt.Errorf("cannot mend the log %s: %w", l.path, err)
	}
	l.file, l.size = f, size
	return nil
}

// Last returns the newest entry; false when there is none.
func (l *Log) Last() (Entry, bool) {
	var last Entry
	found := false
	_ = l.Read(context.Background(), ReadOptions{Tail: 1}, func(e Entry) error {
		last, found = e, true
		return nil
	}) // a log that cannot be read has no entry
	return last, found
}

// Close ends the log until the next Open. Readers that follow return when
// they have read all.
func (l *Log) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.opened {
		return nil
	}
	l.opened = false
	l.wake()
	if l.file == nil {
		return nil
	}
	err := l.file.Close()
	l.file = nil
	return err
}

// buffers are where entries become text.
var buffers = sync.Pool{New: func() any { return new([]byte) }}

// Append writes entries, all in one file. When it fails none is there.
func (l *Log) Append(entries ...Entry) (err error) {
	if len(entries) == 0 {
		return nil
	}
	buf := buffers.Get().(*[]byte)
	defer buffers.Put(buf)
	text := (*buf)[:0]
	for _, e := range entries {
		if text, err = e.append(text); err != nil {
			return err
		}
	}
	*buf = text
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.opened {
		return fs.ErrClosed
	}
	if err := l.makeReady(int64(len(text))); err != nil {
		return err
	}
	n, err := l.file.Write(text)
	if err != nil {
		// On a full disk half an entry may be there: the next must not join it.
		return errors.Join(err, l.takeBack(n))
	}
	l.size += int64(n)
	l.wake()
	return nil
}

// lookEvery is how often the file is looked after.
const lookEvery = time.Second

// makeReady sees to it that there is a file that can take n bytes.
func (l *Log) makeReady(n int64) error {
	if now := time.Now(); l.file != nil && now.Sub(l.looked) >= lookEvery {
		l.looked = now
		l.lookAfter()
	}
	if l.file == nil {
		if err := l.open(); err != nil {
			return err
		}
	}
	if l.options.MaxSize > 0 && l.size > 0 && l.size+n > l.options.MaxSize {
		return l.rotate()
	}
	return nil
}

// lookAfter finds out whether somebody has emptied or removed the file.
func (l *Log) lookAfter() {
	info, err := l.file.Stat()
	if err != nil {
		return
	}
	if l.size = info.Size(); info.Sys().(*syscall.Stat_t).Nlink == 0 {
		l.file.Close()
		l.file = nil
		l.rotated++ // readers go on with the next
	}
}

// takeBack removes the last n bytes of the file.
func (l *Log) takeBack(n int) error {
	if n <= 0 {
		return nil
	}
	info, err := l.file.Stat()
	if err != nil {
		return err
	}
	return l.file.Truncate(max(info.Size()-int64(n), 0))
}

func (l *Log) wake() {
	close(l.changed)
	l.changed = make(chan struct{})
}

func (l *Log) rotate() error {
	l.file.Close()
	l.file = nil
	for _, form := range forms {
		if err := os.Remove(l.name(l.options.MaxFiles-1) + form); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		for i := l.options.MaxFiles - 1; i > 0; i-- {
			if err := os.Rename(l.name(i-1)+form, l.name(i)+form); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return err
			}
		}
	}
	l.rotated++
	if l.options.Compress {
		l.compress()
	}
	return l.open()
}

// name is that of the file that was rotated i times.
func (l *Log) name(i int) string {
	if i == 0 {
		return l.path
	}
	return fmt.Sprintf("%s.%d", l.path, i)
}

// Remove deletes all files.
func (l *Log) Remove() error {
	l.Close()
	l.Wait()
	var errs []error
	for i := range l.options.MaxFiles {
		for _, form := range forms {
			if err := os.Remove(l.name(i) + form); err != nil && !errors.Is(err, fs.ErrNotExist) {
				errs = append(errs, err)
			}
		}
	}
	return errors.Join(errs...)
}

// wholeEntries returns the offset behind a file's last newline.
func wholeEntries(f *os.File) (int64, error) {
	end, err := f.Seek(0, io.SeekEnd)
	if err != nil {
		return 0, err
	}
	found, err := newlineBefore(f, end, 1)
	return found + 1, err
}

// newlineBefore returns the offset of the nth newline before end, counting
// backwards; -1 when there are fewer.
func newlineBefore(f io.ReaderAt, end int64, n int) (int64, error) {
	buf := make([]byte, 64<<10)
	for end > 0 {
		size := min(end, int64(len(buf)))
		if _, err := f.ReadAt(buf[:size], end-size); err != nil && !errors.Is(err, io.EOF) {
			return 0, err
		}
		for i := size - 1; i >= 0; i-- {
			if buf[i] == '\n' {
				if n--; n == 0 {
					return end - size + i, nil
				}
			}
		}
		end -= size
	}
	return -1, nil
}
