package containers

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/containerd/containerd/v2/client"
	"go.uber.org/zap"

	"github.com/pouchfx/pouchfx/modules/containers/logfile"
	"github.com/pouchfx/pouchfx/modules/containers/stdio"
)

const (
	// drainIdle is how long output may stand still after the end before we
	// stop waiting for who holds the pipes.
	drainIdle = 2 * time.Second
	// flushLimit is how long an end waits for attached clients to read.
	flushLimit = 2 * time.Second
)

// run is one life of a container, from start to end.
type run struct {
	task   client.Task
	pid    int
	pipes  *stdio.Pipes
	hub    *stdio.Hub
	exited chan struct{} // closed when the end was saved and told
	gone   chan struct{} // closed when nothing of the run is left
}

// connect gives a run's pipes to the container's hub.
func (s *Service) connect(c *ctr, task client.Task, pipes *stdio.Pipes) *run {
	r := &run{
		task: task, pid: int(task.Pid()), pipes: pipes, hub: c.outlet(),
		exited: make(chan struct{}), gone: make(chan struct{}),
	}
	r.pump(c, s.Log)
	if pipes.Stdin != nil {
		r.hub.Stdin().Open(pipes.Stdin, func() { s.closeInput(task) })
	}
	return r
}

func (r *run) pump(c *ctr, log *zap.Logger) {
	var sink stdio.Log
	if c.log != nil {
		sink = newLogSink(c, log)
	}
	if r.pipes.Stderr == nil { // not a nil *fifo in an interface
		r.hub.Pump(sink, r.pipes.Stdout, nil)
		return
	}
	r.hub.Pump(sink, r.pipes.Stdout, r.pipes.Stderr)
}

// drain waits for the output of a run that ended and gives it to all who want
// it. The pipes are gone then.
func (r *run) drain(log *zap.Logger, id string) {
	if !r.hub.Drain(drainIdle) {
		log.Warn("something that outlives the container holds its output open", zap.String("container", id))
	}
	if err := r.pipes.Shut(); err != nil {
		log.Warn("cannot remove a container's pipes", zap.String("container", id), zap.Error(err))
	}
	r.hub.Close(flushLimit)
}

// logSink writes a run's output to the container's log.
type logSink struct {
	log    *logfile.Log
	lines  [3]*logfile.Lines // by stream
	report func(error)
}

func newLogSink(c *ctr, log *zap.Logger) *logSink {
	attrs := logAttrs(c.record())
	failed := false
	return &logSink{
		log: c.log,
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

func (l *logSink) Write(stream byte, p []byte) {
	l.report(l.log.Append(l.lines[stream].Write(p, time.Now())...))
}

func (l *logSink) Pending() (rest [3][]byte) {
	for stream := 1; stream <= 2; stream++ {
		rest[stream] = l.lines[stream].Pending()
	}
	return rest
}

func (l *logSink) Flush() {
	for stream := 1; stream <= 2; stream++ {
		l.report(l.log.Append(l.lines[stream].Rest()...))
	}
	l.report(l.log.Close())
}

func procPath(pid int, parts ...string) string {
	return filepath.Join(append([]string{"/proc", strconv.Itoa(pid)}, parts...)...)
}

// oomKilled asks the container's cgroup whether the kernel killed a process
// for want of memory. It is asked between a run's end and its task's removal.
func oomKilled(cgroup string) bool {
	for path, key := range map[string]string{
		filepath.Join("/sys/fs/cgroup/memory", cgroup, "memory.oom_control"): "oom_kill ",
		filepath.Join("/sys/fs/cgroup", cgroup, "memory.events"):             "oom_kill ",
	} {
		text, err := os.ReadFile(path)
		if err != nil {
			continue
		}
		for line := range strings.Lines(string(text)) {
			if count, ok := strings.CutPrefix(line, key); ok {
				return strings.TrimSpace(count) != "0"
			}
		}
	}
	return false
}

// engineTimeout bounds one call of the engine that should be quick.
const engineTimeout = 30 * time.Second

var errStopped = errors.New("the daemon is stopping")

// removeDirs deletes the container's files.
func (s *Service) removeDirs(c *ctr) error {
	var errs []error
	for _, dir := range []string{s.dir(c.id), s.execDir(c.id)} {
		if err := os.RemoveAll(dir); err != nil {
			errs = append(errs, fmt.Errorf("cannot remove %s: %w", dir, err))
		}
	}
	return errors.Join(errs...)
}
