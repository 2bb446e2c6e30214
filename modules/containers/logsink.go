package containers

import (
	"io"
	"path/filepath"
	"time"

	"go.uber.org/zap"

	"github.com/pouchfx/pouchfx/modules/containers/logfile"
	"github.com/pouchfx/pouchfx/modules/containers/stdio"
)

// logSink writes a run's output to the container's log. The output comes
// through spools, so that none of it is lost or logged twice when the daemon
// is killed: each entry says how much of them the log holds with it.
type logSink struct {
	log    *logfile.Log
	lines  [3]*logfile.Lines // by stream, as all arrays here
	taken  logfile.Taken
	spools [3]*stdio.Spool // nil where output goes straight to the log
	resume bool            // taken is where the last daemon stopped
	report func(error)
}

func newLogSink(c *ctr, log *zap.Logger) *logSink {
	attrs := logAttrs(c.record())
	failed := false
	last, found := c.log.Last()
	return &logSink{
		log:   c.log,
		taken: last.Taken, resume: !found || last.Taken != logfile.Taken{},
		lines: [3]*logfile.Lines{
			1: {Stream: logfile.Stdout, Attrs: attrs}, 2: {Stream: logfile.Stderr, Attrs: attrs},
		},
		report: func(err error) {
			if err != nil && !failed { // once: a full disk would fill the daemon's log too
				log.Error("cannot write a container's log", zap.String("container", c.id), zap.Error(err))
			}
			failed = err != nil
		},
	}
}

// spooled returns a reader of pipe by way of the stream's spool in dir. It
// begins with what the last daemon took from the pipe and did not log.
func (l *logSink) spooled(dir string, stream logfile.Stream, pipe io.Reader) io.Reader {
	if pipe == nil {
		return nil
	}
	spool, err := stdio.OpenSpool(filepath.Join(dir, stream.String()+".spool"))
	if err != nil {
		l.report(err)
		return pipe
	}
	offset := &l.taken[stream-1]
	if !l.resume || !spool.Holds(*offset) { // the log was emptied by hand, or is not from here
		*offset = spool.Size()
	}
	through, err := spool.Through(pipe, *offset)
	if err != nil {
		l.report(err)
		spool.Close()
		return pipe
	}
	l.spools[stream] = spool
	return through
}

func (l *logSink) Write(stream byte, p []byte) {
	l.append(stream, l.lines[stream].Write(p, time.Now()))
}

// append logs entries of one stream.
func (l *logSink) append(stream byte, entries []logfile.Entry) {
	for i := range entries {
		l.taken[stream-1] += int64(len(entries[i].Line))
		entries[i].Taken = l.taken
	}
	l.report(l.log.Append(entries...))
	if l.spools[stream] != nil {
		l.spools[stream].Logged(l.taken[stream-1])
	}
}

func (l *logSink) Pending() (rest [3][]byte) {
	for stream := 1; stream <= 2; stream++ {
		rest[stream] = l.lines[stream].Pending()
	}
	return rest
}

// Flush is called when the readers have ended.
func (l *logSink) Flush() {
	for stream := byte(1); stream <= 2; stream++ {
		l.append(stream, l.lines[stream].Rest())
		if l.spools[stream] != nil {
			l.report(l.spools[stream].Close())
		}
	}
	l.report(l.log.Close())
}
