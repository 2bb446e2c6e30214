package logfile

import (
	"bufio"
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"time"
)

// ReadOptions say what of a log is wanted.
type ReadOptions struct {
	// Tail is how many of the last entries are read; negative means all.
	Tail int
	// Since and Until bound the entries' times; zero means no bound.
	Since, Until time.Time
	// Follow waits for what is appended until the log is closed.
	Follow bool
}

// Read gives the entries to fn, oldest first. It ends at the end of the log,
// with Follow at the end of a closed log, when ctx ends, and with fn's error.
func (l *Log) Read(ctx context.Context, o ReadOptions, fn func(Entry) error) error {
	l.mu.Lock()
	r, err := l.reader(o.Tail)
	l.mu.Unlock()
	if err != nil {
		return err
	}
	defer r.close()
	for {
		line, err := r.next(ctx, o.Follow)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		e, err := parse(line)
		if err != nil || !o.Since.IsZero() && e.Time.Before(o.Since) {
			continue // a damaged entry must not hide the others
		}
		if !o.Until.IsZero() && e.Time.After(o.Until) {
			return nil
		}
		if err := fn(e); err != nil {
			return err
		}
	}
}

// Snapshot is what a log held at one moment.
type Snapshot struct{ r *reader }

// Snapshot returns what the log holds now. It must be read or closed.
func (l *Log) Snapshot() (*Snapshot, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	r, err := l.reader(-1)
	if err != nil {
		return nil, err
	}
	r.ends = make(map[*os.File]int64)
	for _, f := range r.files {
		info, err := f.Stat()
		if err != nil {
			r.close()
			return nil, err
		}
		r.ends[f] = info.Size()
	}
	return &Snapshot{r}, nil
}

// Close lets go of a snapshot that is not read.
func (s *Snapshot) Close() { s.r.close() }

// Read gives the entries to fn, oldest first, and closes the snapshot.
func (s *Snapshot) Read(ctx context.Context, fn func(Entry) error) error {
	defer s.r.close()
	for {
		line, err := s.r.next(ctx, false)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if e, err := parse(line); err == nil {
			if err := fn(e); err != nil {
				return err
			}
		}
	}
}

// reader walks through a log's files.
type reader struct {
	ends    map[*os.File]int64 // sizes when reading began; nil to read on
	log     *Log
	files   []*os.File // to be read after the current one
	file    *os.File   // nil when there is none yet
	lines   *bufio.Reader
	partial []byte // of a line whose end is not written yet
	newest  int    // value of Log.rotated when the newest of files was the newest
}

// reader opens the files that hold the last tail entries, all with a negative
// tail, at the first of them. The caller holds l.mu.
func (l *Log) reader(tail int) (*reader, error) {
	r := &reader{log: l, newest: l.rotated}
	for i := 0; i < l.options.MaxFiles && tail != 0; i++ {
		f, err := os.Open(l.name(i))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			r.close()
			return nil, err
		}
		r.files = append([]*os.File{f}, r.files...)
		if tail > 0 {
			if tail, err = seekTail(f, tail); err != nil {
				r.close()
				return nil, err
			}
		}
	}
	if tail == 0 && len(r.files) == 0 { // only what is to come
		f, err := os.Open(l.path)
		if err == nil {
			_, err = f.Seek(0, io.SeekEnd)
			r.files = append(r.files, f)
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			r.close()
			return nil, err
		}
	}
	return r, nil
}

// seekTail moves to the last n entries and returns how many are missing.
func seekTail(f *os.File, n int) (int, error) {
	end, err := f.Seek(0, io.SeekEnd)
	if err != nil {
		return 0, err
	}
	// The newline that ends the entry before the wanted ones is the n+1st.
	at, err := newlineBefore(f, end, n+1)
	if err != nil {
		return 0, err
	}
	if at >= 0 {
		_, err = f.Seek(at+1, io.SeekStart)
		return 0, err
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return 0, err
	}
	count, err := countLines(f)
	if err != nil {
		return 0, err
	}
	_, err = f.Seek(0, io.SeekStart)
	return max(n-count, 0), err
}

func countLines(r io.Reader) (int, error) {
	buf, count := make([]byte, 64<<10), 0
	for {
		n, err := r.Read(buf)
		for _, b := range buf[:n] {
			if b == '\n' {
				count++
			}
		}
		if errors.Is(err, io.EOF) {
			return count, nil
		}
		if err != nil {
			return 0, err
		}
	}
}

// advance moves to the next opened file, if there is one.
func (r *reader) advance() bool {
	if len(r.files) == 0 {
		return false
	}
	if r.file != nil {
		r.file.Close()
	}
	r.file, r.files = r.files[0], r.files[1:]
	var from io.Reader = r.file
	if r.ends != nil {
		from = io.LimitReader(from, r.ends[r.file])
	}
	r.lines, r.partial = bufio.NewReaderSize(from, 64<<10), nil
	return true
}

// next returns the next line, waiting for it with follow.
func (r *reader) next(ctx context.Context, follow bool) ([]byte, error) {
	for {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		// What is asked before reading holds for what is then not found.
		changed, open, err := r.look(follow)
		if err != nil {
			return nil, err
		}
		if r.file != nil {
			line, err := r.lines.ReadSlice('\n')
			r.partial = append(r.partial, line...)
			switch {
			case err == nil:
				line, r.partial = r.partial, nil
				return line, nil
			case errors.Is(err, bufio.ErrBufferFull):
				continue
			case !errors.Is(err, io.EOF):
				return nil, err
			case follow && r.rewind():
				continue
			}
		}
		if r.advance() {
			continue
		}
		if !follow || !open {
			return nil, io.EOF
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// rewind goes to the beginning of a file that somebody has emptied.
func (r *reader) rewind() bool {
	at, err := r.file.Seek(0, io.SeekCurrent)
	if err != nil {
		return false
	}
	info, err := r.file.Stat()
	if err != nil || info.Size() >= at {
		return false
	}
	if _, err := r.file.Seek(0, io.SeekStart); err != nil {
		return false
	}
	r.lines.Reset(r.file)
	r.partial = nil
	return true
}

// look reports the log's state and opens the files that were rotated into
// being since the last look.
func (r *reader) look(follow bool) (changed <-chan struct{}, open bool, err error) {
	if !follow {
		return nil, false, nil
	}
	l := r.log
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.opened && l.file == nil { // the next file is not there yet
		return l.changed, true, nil
	}
	fresh := l.rotated - r.newest
	if r.file == nil && len(r.files) == 0 {
		fresh++ // even the first was not there when reading began
	}
	for i := min(fresh, l.options.MaxFiles) - 1; i >= 0; i-- {
		f, err := os.Open(l.name(i))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, false, err
		}
		r.files = append(r.files, f)
	}
	r.newest = l.rotated
	return l.changed, l.opened, nil
}

func (r *reader) close() {
	if r.file != nil {
		r.file.Close()
	}
	for _, f := range r.files {
		f.Close()
	}
}
