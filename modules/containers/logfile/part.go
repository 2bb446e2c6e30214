package logfile

import (
	"compress/gzip"
	"errors"
	"io"
	"io/fs"
	"os"
)

// forms are the ends of the names of a rotated file: as it was written, or
// compressed.
var forms = []string{"", ".gz"}

// part is one of a log's files, open for reading.
type part struct {
	*os.File
	zipped bool
	skip   int // how many lines at its beginning are not wanted
}

// openPart opens the file that was rotated i times. The caller holds l.mu.
func (l *Log) openPart(i int) (*part, error) {
	for _, form := range forms {
		f, err := os.Open(l.name(i) + form)
		if err == nil {
			return &part{File: f, zipped: form != ""}, nil
		}
		if !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
	}
	return nil, fs.ErrNotExist
}

// reader returns what is in the file. One that is damaged ends where it is: the
// others must not be hidden by it.
func (p *part) reader() io.Reader {
	if !p.zipped {
		return p.File
	}
	z, err := gzip.NewReader(p.File)
	if err != nil {
		return eof{}
	}
	return whole{z}
}

type eof struct{}

func (eof) Read([]byte) (int, error) { return 0, io.EOF }

// whole ends a damaged stream.
type whole struct{ io.Reader }

func (w whole) Read(p []byte) (int, error) {
	n, err := w.Reader.Read(p)
	if err != nil {
		err = io.EOF
	}
	return n, err
}

// seekTail moves to the last n entries and returns how many are missing.
func (p *part) seekTail(n int) (int, error) {
	if !p.zipped {
		return seekTail(p.File, n)
	}
	count, err := countLines(p.reader())
	if err != nil {
		return 0, err
	}
	p.skip = max(count-n, 0)
	_, err = p.Seek(0, io.SeekStart)
	return max(n-count, 0), err
}

// seekTail moves a file to its last n lines and returns how many are missing.
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
