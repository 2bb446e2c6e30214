package containers

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/moby/moby/api/types/container"
	eventtypes "github.com/moby/moby/api/types/events"
	"golang.org/x/sys/unix"
)

const (
	// maxProbeOutput is how many bytes of a check's output are kept.
	maxProbeOutput = 4096
	// probeStart bounds how long a check may take to be started.
	probeStart = 30 * time.Second
)

// checkHealth begins to check a run's health, if it is to be. first is how long
// to wait before the first check; negative means as the configuration says.
func (s *Service) checkHealth(c *ctr, r *run, anew bool, first time.Duration) {
	p := newProbe(&c.record().Config)
	if p == nil {
		return
	}
	ctx, cancel := context.WithCancel(s.background)
	c.health.begin(cancel, anew)
	s.owned.Go(func() {
		defer cancel()
		s.checks(ctx, c, r, p, first)
	})
}

// checks runs the check again and again until ctx or the run ends.
func (s *Service) checks(ctx context.Context, c *ctr, r *run, p *probe, first time.Duration) {
	started := c.record().State.StartedAt
	wait := first
	for {
		if wait < 0 {
			status := container.Starting
			if now := c.health.state(); now != nil {
				status = now.Status
			}
			wait = p.wait(time.Since(started), status)
		}
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
		case <-ctx.Done():
		case <-r.exited:
		}
		timer.Stop()
		if ctx.Err() != nil || c.current() != r {
			return
		}
		result := s.probe(ctx, c, p)
		if ctx.Err() != nil { // ended by a pause, or with the container: it says nothing
			return
		}
		if status := c.health.add(result, p, result.Start.Sub(started)); status != "" {
			s.publish(c, eventtypes.ActionHealthStatus+": "+eventtypes.Action(status))
		}
		wait = -1
	}
}

// probe runs the check once.
func (s *Service) probe(ctx context.Context, c *ctr, p *probe) *container.HealthcheckResult {
	result := &container.HealthcheckResult{Start: time.Now()}
	code, output, err := s.runProbe(ctx, c, p)
	result.End, result.ExitCode, result.Output = time.Now(), code, output
	if err != nil {
		result.ExitCode, result.Output = -1, err.Error()
	}
	return result
}

// runProbe executes the check's command. Its time counts from when it runs.
func (s *Service) runProbe(ctx context.Context, c *ctr, p *probe) (code int, output string, err error) {
	id, err := s.ExecCreate(ctx, c.id, container.ExecCreateRequest{Cmd: p.cmd, AttachStdout: true, AttachStderr: true})
	if err != nil {
		return 0, "", err
	}
	defer s.forgetExec(c, id)
	e, err := s.findExec(id)
	if err != nil {
		return 0, "", err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	out := new(limited)
	done := make(chan error, 1)
	go func() { // ends with ctx
		done <- s.ExecStart(ctx, id, ExecStartOptions{}, Streams{Stdout: out, Stderr: out}, func() {})
	}()
	timer := time.NewTimer(probeStart)
	defer timer.Stop()
	select {
	case <-timer.C:
		return 0, "", errors.New("timed out starting health check for container")
	case <-e.ready:
	}
	timer.Reset(p.timeout)
	select {
	case <-timer.C:
		s.killExec(ctx, e)
		cancel()
		<-done
		text := fmt.Sprintf("Health check exceeded timeout (%v)", p.timeout)
		if got := out.String(); got != "" {
			text += ": " + got
		}
		return -1, text, nil
	case err = <-done:
	}
	if err != nil {
		return 0, "", err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.exitCode == nil {
		return 0, "", fmt.Errorf("healthcheck for container %s has no exit code", c.id)
	}
	return *e.exitCode, out.String(), nil
}

// killExec ends a further process of a container.
func (s *Service) killExec(ctx context.Context, e *execution) {
	e.mu.Lock()
	process, running := e.process, e.running
	e.mu.Unlock()
	if !running {
		return
	}
	ctx, cancel := context.WithTimeout(s.Engine.Context(ctx), engineTimeout)
	defer cancel()
	if err := process.Kill(ctx, unix.SIGKILL); err != nil {
		s.Log.Debug("cannot end a health check", containerField(e.c), errorField(err))
	}
}

// forgetExec removes an execution that nobody will ask about.
func (s *Service) forgetExec(c *ctr, id string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.execs, id)
	s.execs.Delete(id)
}

// limited keeps the beginning of what is written.
type limited struct {
	mu   sync.Mutex
	buf  bytes.Buffer
	more bool
}

func (l *limited) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	room := min(len(p), maxProbeOutput-l.buf.Len())
	l.more = l.more || room < len(p)
	l.buf.Write(p[:room])
	return len(p), nil
}

func (l *limited) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.more {
		return l.buf.String() + "..."
	}
	return l.buf.String()
}
