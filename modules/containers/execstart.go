package containers

import (
	"context"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/containerd/containerd/v2/client"
	"github.com/containerd/containerd/v2/pkg/cio"
	"github.com/containerd/errdefs"
	eventtypes "github.com/moby/moby/api/types/events"
	"go.uber.org/zap"

	"github.com/pouchfx/pouchfx/modules/containers/stdio"
)

// ExecStartOptions say how an execution is started.
type ExecStartOptions struct {
	// Detach returns once the process runs, with nobody attached.
	Detach bool
	// Tty is what the client believes; ExecCreate decided.
	Tty bool
	// ConsoleSize is the terminal's first size: height, width.
	ConsoleSize *[2]uint
}

// ExecStart starts an execution and, unless detached, serves its streams until
// its output ends or the client detaches. attached is called once when the
// streams are connected, before the process runs; a process that then cannot be
// run says so in the client's output and in its exit code, 126 or 127, as with
// dockerd. The exit code is final when ExecStart returns.
func (s *Service) ExecStart(ctx context.Context, id string, o ExecStartOptions, streams Streams, attached func()) error {
	e, err := s.findExec(id)
	if err != nil {
		return err
	}
	if err := e.c.executable(e.c.id); err != nil {
		return err
	}
	if streams.DetachKeys == "" {
		streams.DetachKeys = e.config.DetachKeys
	}
	streams = e.wanted(streams, o.Detach)
	input, err := detachable(streams, e.config.Tty)
	if err != nil {
		return err
	}
	if err := e.claim(o); err != nil {
		return err
	}
	hub := stdio.NewHub()
	if o.Detach {
		_, err := s.runExec(ctx, e, hub)
		return err
	}
	attached()
	done := make(chan bool, 1)
	serving, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() { done <- s.serve(serving, hub, streams, input, !e.config.Tty, nil) }() // ends with the hub, or cancel
	gone, err := s.runExec(ctx, e, hub)
	if err != nil {
		if out := streams.Stdout; out != nil {
			fmt.Fprintf(out, "%v\r\n", err)
		}
		return err
	}
	if <-done { // detached: the process goes on
		s.publish(e.c, eventtypes.ActionExecDetach, "execID", e.id)
		return nil
	}
	select { // the exit code is final
	case <-gone:
	case <-ctx.Done():
	}
	return nil
}

// wanted leaves out the streams that ExecCreate did not ask for.
func (e *execution) wanted(s Streams, detach bool) Streams {
	if detach || !e.config.AttachStdin {
		s.Stdin = nil
	}
	if detach || !e.config.AttachStdout {
		s.Stdout = nil
	}
	if detach || !e.config.AttachStderr {
		s.Stderr = nil
	}
	return s
}

// claim makes one caller the one who starts the execution.
func (e *execution) claim(o ExecStartOptions) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	switch {
	case e.exitCode != nil:
		return conflict("exec command has already run")
	case e.started:
		return conflict("exec %s is already running", e.id)
	}
	e.started = true
	if o.ConsoleSize != nil {
		e.config.ConsoleSize = o.ConsoleSize
	}
	if o.Detach { // nobody will ever write
		e.config.AttachStdin = false
	}
	return nil
}

// runExec starts the process; gone is closed when it has ended and all its
// output was passed on. When it fails the hub is closed.
func (s *Service) runExec(ctx context.Context, e *execution, hub *stdio.Hub) (gone <-chan struct{}, err error) {
	defer close(e.ready)
	r := e.c.current()
	if r == nil {
		err = conflict("container %s is not running", e.c.id)
	} else {
		gone, err = s.startExec(ctx, e, r, hub)
	}
	if err != nil {
		hub.Close(0)
		code := exitCodeOf(err)
		if code == exitCodeUnknown && errdefs.IsInvalidArgument(err) { // such as a user who is not there
			code = exitCannotRun
		}
		e.end(code)
		return nil, err
	}
	s.publish(e.c, eventtypes.Action("exec_start: "+strings.Join(e.config.Cmd, " ")), "execID", e.id)
	return gone, nil
}

func (s *Service) startExec(ctx context.Context, e *execution, r *run, hub *stdio.Hub) (_ <-chan struct{}, err error) {
	var undo undoList
	defer func() {
		if err != nil {
			undo.run(s.background, s.Log)
		}
	}()
	ctx, cancel := context.WithTimeout(s.Engine.Context(context.WithoutCancel(ctx)), engineTimeout)
	defer cancel()
	spec, err := s.execProcess(ctx, e, r)
	if err != nil {
		return nil, err
	}
	pipes, err := stdio.OpenPipes(s.execDir(e.c.id), e.id[:16]+"-", e.config.AttachStdin, e.config.Tty)
	if err != nil {
		return nil, err
	}
	undo.add("pipes", func(context.Context) error { return pipes.Shut() })
	process, err := r.task.Exec(ctx, e.id, spec, func(string) (cio.IO, error) { return pipes, nil })
	if err != nil {
		return nil, execError(err)
	}
	undo.add("process", func(ctx context.Context) error {
		_, err := process.Delete(ctx, client.WithProcessKill)
		return err
	})
	ended, err := process.Wait(s.background)
	if err != nil {
		return nil, err
	}
	var stderr io.Reader
	if pipes.Stderr != nil {
		stderr = pipes.Stderr
	}
	hub.Pump(nil, pipes.Stdout, stderr)
	if err := process.Start(ctx); err != nil {
		return nil, execError(err)
	}
	if pipes.Stdin != nil {
		hub.Stdin().Open(pipes.Stdin, func() { s.closeInput(process) })
	}
	e.mu.Lock()
	e.process, e.running, e.pid = process, true, int(process.Pid())
	e.mu.Unlock()
	gone := make(chan struct{})
	s.owned.Go(func() {
		defer close(gone)
		s.followExec(e, hub, pipes, ended)
	})
	return gone, nil
}

func (s *Service) closeInput(process client.Process) {
	ctx, cancel := context.WithTimeout(s.background, engineTimeout)
	defer cancel()
	if err := process.CloseIO(ctx, client.WithStdinCloser); err != nil && !errdefs.IsNotFound(err) {
		s.Log.Debug("cannot close a process's input", zap.Error(err))
	}
}

// followExec owns a process that runs: it waits for its end.
func (s *Service) followExec(e *execution, hub *stdio.Hub, pipes *stdio.Pipes, ended <-chan client.ExitStatus) {
	var status client.ExitStatus
	select {
	case status = <-ended:
	case <-s.background.Done():
		pipes.Release()
		hub.Close(0)
		return
	}
	code := int(status.ExitCode())
	if status.Error() != nil { // its container ended, and took the shim along
		code = exitKilled
	}
	hub.Drain(drainIdle)
	if err := pipes.Shut(); err != nil {
		s.Log.Warn("cannot remove a process's pipes", containerField(e.c), zap.Error(err))
	}
	e.end(code) // final before a client sees the output's end
	hub.Close(flushLimit)
	ctx, cancel := context.WithTimeout(context.WithoutCancel(s.background), engineTimeout)
	defer cancel()
	if _, err := e.process.Delete(ctx); err != nil && !errdefs.IsNotFound(err) {
		s.Log.Debug("cannot delete a process that ended", containerField(e.c), zap.Error(err))
	}
	s.publish(e.c, eventtypes.ActionExecDie, "execID", e.id, "exitCode", strconv.Itoa(code))
}

func (e *execution) end(code int) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.running, e.exitCode, e.ended, e.pid = false, &code, time.Now(), 0
}
