package containers

import (
	"io"
	"path/filepath"
	"sync/atomic"
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
	// Each tells about the first of many failures: a full disk would fill the
	// daemon's log too.
	logFailed, spoolFailed func(error)
}

func newLogSink(c *ctr, log *zap.Logger) *logSink {
	attrs := logAttrs(c.id, c.record())
	last, _ := c.log.Last()
	return &logSink{
		log: c.log, taken: last.Taken,
		lines: [3]*logfile.Lines{
			1: {Stream: logfile.Stdout, Attrs: attrs}, 2: {Stream: logfile.Stderr, Attrs: attrs},
		},
		logFailed:   firstOf(log, "cannot write a container's log", c.id),
		spoolFailed: firstOf(log, "a container's output is not safe from the daemon being killed", c.id),
	}
}

// firstOf returns a function that logs an error, unless the last call had one.
func firstOf(log *zap.Logger, message, id string) func(error) {
	var failed atomic.Bool
	return func(err error) {
		if !failed.Swap(err != nil) && err != nil {
			log.Error(message, zap.String("container", id), zap.Error(err))
		}
	}
}

// spooled returns a reader of pipe by way of the stream's spool in dir. It
// begins with what the last daemon took from the pipe and did not log; without
// a pipe that is all.
func (l *logSink) spooled(dir string, stream logfile.Stream, pipe io.Reader) io.Reader {
	spool, err := stdio.OpenSpool(filepath.Join(dir, stream.String()+".spool"), l.taken[stream-1])
	if err != nil {
		l.spoolFailed(err)
		return pipe
	}
	through, err := spool.Through(pipe, l.spoolFailed)
	if err != nil {
		l.spoolFailed(err)
		spool.Close()
		return pipe
	}
	l.taken[stream-1] = spool.Offset()
	l.spools[stream] = spool
	return through
}

func (l *logSink) Write(stream byte, p []byte) {
	l.append(stream, l.lines[stream].Write(p, time.Now()))
}

// append logs entries of one stream.
func (l *logSink) append(stream byte, entries []logfile.Entry) {
	if len(entries) == 0 {
		return
	}
	for i := range entries {
		l.taken[stream-1] += int64(len(entries[i].Line))
		entries[i].Taken = l.taken
	}
	l.logFailed(l.log.Append(entries...))
	if l.spools[stream] != nil {
		if err := l.spools[stream].Logged(l.taken[stream-1]); err != nil {
			l.spoolFailed(err)
		}
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
			if err := l.spools[stream].Close(); err != nil {
				l.spoolFailed(err)
			}
		}
	}
	l.logFailed(l.log.Close())
}
