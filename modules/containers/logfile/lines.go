package logfile

import (
	"bytes"
	"time"
)

// Lines cuts one stream of output into entries. It is not safe for use by
// several goroutines.
type Lines struct {
	Stream Stream
	Attrs  map[string]string

	rest []byte // the beginning of a line whose end has not come
	time time.Time
}

// Write returns the entries that p completes.
func (l *Lines) Write(p []byte, now time.Time) []Entry {
	var entries []Entry
	for len(p) > 0 {
		if len(l.rest) == 0 {
			l.time = now
		}
		n := min(len(p), MaxLine-len(l.rest))
		end := bytes.IndexByte(p[:n], '\n')
		if end >= 0 {
			n = end + 1
		}
		l.rest = append(l.rest, p[:n]...)
		p = p[n:]
		if end >= 0 || len(l.rest) == MaxLine {
			entries = append(entries, l.Rest()...)
		}
	}
	return entries
}

// Rest returns what is there of an incomplete line, and forgets it.
func (l *Lines) Rest() []Entry {
	if len(l.rest) == 0 {
		return nil
	}
	e := Entry{Stream: l.Stream, Time: l.time, Line: l.rest, Attrs: l.Attrs}
	l.rest = nil
	return []Entry{e}
}

// Pending returns what is there of an incomplete line.
func (l *Lines) Pending() []byte { return l.rest }
