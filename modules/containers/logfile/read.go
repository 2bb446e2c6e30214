package logfile

import (
	"bufio"
	"context"
	"errors"
	"io"
	"io/fs"
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
	if err := r.tail(o.Tail); err != nil {
		return err
	}
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
	r.ends = make(map[*part]int64)
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
	ends    map[*part]int64 // sizes when reading began; nil to read on
	log     *Log
	files   []*part // to be read after the current one
	file    *part   // nil when there is none yet
	lines   *bufio.Reader
	partial []byte // of a line whose end is not written yet
	newest  int    // value of Log.rotated when the newest of files was the newest
}

// reader opens the files, none but the newest with a tail of 0, of which only
// what is to come is read. The caller holds l.mu.
func (l *Log) reader(tail int) (*reader, error) {
	r := &reader{log: l, newest: l.rotated}
	for i := 0; i < l.options.MaxFiles; i++ {
		f, err := l.openPart(i)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			r.close()
			return nil, err
		}
		r.files = append([]*part{f}, r.files...)
		if tail == 0 {
			if _, err := f.Seek(0, io.SeekEnd); err != nil {
				r.close()
				return nil, err
			}
			break
		}
	}
	return r, nil
}

// tail moves to the last n entries, all with a negative n.
func (r *reader) tail(n int) error {
	if n <= 0 {
		return nil
	}
	for i := len(r.files) - 1; i >= 0; i-- {
		var err error
		if n, err = r.files[i].seekTail(n); err != nil {
			return err
		}
		if n > 0 {
			continue
		}
		for _, f := range r.files[:i] {
			f.Close()
		}
		r.files = r.files[i:]
		break
	}
	return nil
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
	from := r.file.reader()
	if r.ends != nil && !r.file.zipped {
		from = io.LimitReader(from, r.ends[r.file])
	}
	r.lines, r.partial = bufio.NewReaderSize(from, 64<<10), nil
	return true
}

// next returns the next line, waiting for it with follow. It is valid until the
// next call.
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
			if err != nil || len(r.partial) > 0 {
				r.partial = append(r.partial, line...)
				line = r.partial
			}
			switch {
			case err == nil && r.file.skip > 0:
				r.file.skip--
				r.partial = nil
				continue
			case err == nil:
				r.partial = nil
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
	if r.file.zipped {
		return false
	}
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
		f, err := l.openPart(i)
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
