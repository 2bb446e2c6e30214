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

	entries []Entry // what Write returned last
	rest    []byte  // the beginning of a line whose end has not come
	time    time.Time
}

// Write returns the entries that p completes. They are valid until the next
// call, and while p is.
func (l *Lines) Write(p []byte, now time.Time) []Entry {
	l.entries = l.entries[:0]
	for len(p) > 0 {
		n := min(len(p), MaxLine-len(l.rest))
		end := bytes.IndexByte(p[:n], '\n')
		if end >= 0 {
			n = end + 1
		}
		whole := end >= 0 || len(l.rest)+n == MaxLine
		if len(l.rest) == 0 {
			l.time = now
			if whole {
				l.entries = append(l.entries, l.entry(p[:n]))
				p = p[n:]
				continue
			}
		}
		l.rest = append(l.rest, p[:n]...)
		p = p[n:]
		if whole {
			l.entries = append(l.entries, l.Rest()...)
		}
	}
	return l.entries
}

func (l *Lines) entry(line []byte) Entry {
	return Entry{Stream: l.Stream, Time: l.time, Line: line, Attrs: l.Attrs}
}

// Rest returns what is there of an incomplete line, and forgets it.
func (l *Lines) Rest() []Entry {
	if len(l.rest) == 0 {
		return nil
	}
	e := l.entry(l.rest)
	l.rest = nil
	return []Entry{e}
}

// Pending returns what is there of an incomplete line.
func (l *Lines) Pending() []byte { return l.rest }
