package logfile

import (
	"compress/gzip"
	"errors"
	"io"
	"os"
)

// compress begins to compress what was rotated away, unless that is under way.
// The caller holds l.mu. Nobody waits for it: what cannot be compressed stays
// as it is, and can be read all the same.
func (l *Log) compress() {
	if l.zipping {
		return
	}
	l.zipping = true
	l.compressor.Go(func() {
		for {
			l.mu.Lock()
			f := l.oldestPlain()
			l.zipping = f != nil
			l.mu.Unlock()
			if f == nil {
				return
			}
			err := l.zip(f)
			f.Close()
			if err != nil {
				l.mu.Lock()
				l.zipping = false
				l.mu.Unlock()
				return
			}
		}
	})
}

// Wait waits for the end of what compresses.
func (l *Log) Wait() { l.compressor.Wait() }

// oldestPlain opens the oldest rotated file that is not compressed; nil when
// there is none.
func (l *Log) oldestPlain() *os.File {
	for i := l.options.MaxFiles - 1; i > 0; i-- {
		if f, err := os.Open(l.name(i)); err == nil {
			return f
		}
	}
	return nil
}

// zip puts a compressed file in the place of one that was rotated away, wherever
// that is by then.
func (l *Log) zip(f *os.File) (err error) {
	tmp := l.path + ".gz.tmp" // of a daemon that was killed, too
	out, err := os.OpenFile(tmp, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o640)
	if err != nil {
		return err
	}
	z := gzip.NewWriter(out)
	_, err = io.Copy(z, f)
	if err = errors.Join(err, z.Close(), out.Close()); err != nil {
		return errors.Join(err, os.Remove(tmp))
	}
	info, err := f.Stat()
	if err != nil {
		return errors.Join(err, os.Remove(tmp))
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for i := 1; i < l.options.MaxFiles; i++ {
		if at, err := os.Stat(l.name(i)); err == nil && os.SameFile(at, info) {
			if err := os.Rename(tmp, l.name(i)+".gz"); err != nil {
				return errors.Join(err, os.Remove(tmp))
			}
			return os.Remove(l.name(i))
		}
	}
	return os.Remove(tmp) // it is gone meanwhile
}
