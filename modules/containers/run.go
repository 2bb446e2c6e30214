package containers

import (
	"errors"
	"fmt"
	"io"
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
	s.pump(c, r.hub, pipes)
	if pipes.Stdin != nil {
		r.hub.Stdin().Open(pipes.Stdin, func() { s.closeInput(task) })
	}
	return r
}

// pump has the output go to the hub and to the log, if there is one.
func (s *Service) pump(c *ctr, hub *stdio.Hub, pipes *stdio.Pipes) {
	if c.log == nil {
		hub.Pump(nil, pipes.Stdout, pipes.Stderr)
		return
	}
	sink := newLogSink(c, s.Log)
	stdout := sink.spooled(s.dir(c.id), logfile.Stdout, pipes.Stdout)
	var stderr io.Reader
	if !c.record().Config.Tty {
		stderr = sink.spooled(s.dir(c.id), logfile.Stderr, pipes.Stderr)
	}
	hub.Pump(sink, stdout, stderr)
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
	if c.log != nil {
		c.log.Wait()
	}
	var errs []error
	for _, dir := range []string{s.dir(c.id), s.execDir(c.id)} {
		if err := os.RemoveAll(dir); err != nil {
			errs = append(errs, fmt.Errorf("cannot remove %s: %w", dir, err))
		}
	}
	return errors.Join(errs...)
}
