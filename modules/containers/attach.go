package containers

import (
	"context"
	"io"

	eventtypes "github.com/moby/moby/api/types/events"
	"go.uber.org/zap"

	"github.com/pouchfx/pouchfx/modules/containers/logfile"
	"github.com/pouchfx/pouchfx/modules/containers/stdio"
)

// AttachOptions say what an attached client gets.
type AttachOptions struct {
	// Logs replays what the container wrote before.
	Logs bool
	// Stream gives what it writes from now on, and takes its input.
	Stream bool
}

// Streams are a client's ends of a process's standard streams.
type Streams struct {
	// Stdin is nil where the client sends none; its end closes the process's
	// input. A read that hangs must end after the call that got the Streams
	// has returned.
	Stdin io.Reader
	// Stdout and Stderr are nil where they are not wanted. They get whole
	// chunks.
	Stdout, Stderr io.Writer
	// DetachKeys end the attachment to a terminal; empty means ctrl-p,ctrl-q.
	DetachKeys string
}

// Attach connects a client to a container, which may run or be about to.
// attached is called once when it is connected, before the first byte. Attach
// returns when all output is written, when the client detached, when writing
// to the client failed, and when ctx ends.
func (s *Service) Attach(ctx context.Context, name string, o AttachOptions, io Streams, attached func()) error {
	c, err := s.index.get(name)
	if err != nil {
		return err
	}
	c.mu.Lock()
	hub, paused := c.hub, c.paused
	c.mu.Unlock()
	if paused {
		return conflict("container %s is paused, unpause the container before attach", c.id)
	}
	r := c.record()
	if !r.Config.OpenStdin {
		io.Stdin = nil
	}
	input, err := detachable(io, r.Config.Tty)
	if err != nil {
		return err
	}
	attached()
	s.publish(c, eventtypes.ActionAttach)
	var log *logfile.Log
	if o.Logs {
		log = c.log
	}
	if !o.Stream {
		return replay(ctx, log, io)
	}
	// A terminal outlives its clients: one that is gone has typed no end.
	if s.serve(ctx, hub, io, input, r.Config.StdinOnce && !r.Config.Tty, log) {
		s.publish(c, eventtypes.ActionDetach)
	}
	return nil
}

// detachable returns the client's input, which ends at the detach keys where
// there is a terminal. Keys that are none are an error even where no use is
// made of them.
func detachable(io Streams, terminal bool) (io.Reader, error) {
	input, err := stdio.Detachable(io.Stdin, io.DetachKeys)
	if err != nil || io.Stdin == nil || !terminal {
		return io.Stdin, err
	}
	return input, nil
}

// replay writes what a log, if there is one, holds now.
func replay(ctx context.Context, log *logfile.Log, to Streams) error {
	if log == nil {
		return nil
	}
	held, err := log.Snapshot()
	if err != nil {
		return err
	}
	return held.Read(ctx, to.write)
}

func (to Streams) write(e logfile.Entry) error {
	out := to.Stdout
	if e.Stream == logfile.Stderr {
		out = to.Stderr
	}
	if out == nil {
		return nil
	}
	_, err := out.Write(e.Line)
	return err
}

// serve connects a client to a hub until the output ends, the client goes, or
// it detaches, which is reported. once closes the process's input when the
// client's ends. What log holds, if it is given, comes first.
func (s *Service) serve(ctx context.Context, hub *stdio.Hub, client Streams, input io.Reader, once bool, log *logfile.Log) (detached bool) {
	var held *logfile.Snapshot
	var mark func()
	if log != nil {
		mark = func() {
			var err error
			if held, err = log.Snapshot(); err != nil {
				s.Log.Warn("cannot replay a container's log", zap.String("path", log.Path()), zap.Error(err))
			}
		}
	}
	out := hub.Attach(client.Stdout, client.Stderr, mark)
	defer hub.Detach(out)
	served := make(chan struct{})
	go func() { // ends with Detach or the client's connection
		defer close(served)
		if held != nil && held.Read(ctx, client.write) != nil {
			return
		}
		_ = out.Serve()
	}()
	ended := make(chan error, 1)
	if input != nil {
		go func() { // ends with the client's connection; see Streams.Stdin
			_, err := io.Copy(hub.Stdin(), input)
			if once && !stdio.IsDetach(err) {
				hub.Stdin().CloseInput()
			}
			ended <- err
		}()
	}
	for {
		select {
		case <-served:
			return false
		case <-ctx.Done():
			return false
		case err := <-ended:
			if stdio.IsDetach(err) {
				return true
			}
		}
	}
}

// Resize gives a container's terminal another size.
func (s *Service) Resize(ctx context.Context, name string, h, w uint32) error {
	c, err := s.index.get(name)
	if err != nil {
		return err
	}
	r := c.current()
	if r == nil {
		return conflict("container %s is not running", c.id)
	}
	ctx, cancel := context.WithTimeout(s.Engine.Context(ctx), engineTimeout)
	defer cancel()
	if err := r.task.Resize(ctx, w, h); err != nil {
		return err
	}
	s.publish(c, eventtypes.ActionResize, "height", utoa(h), "width", utoa(w))
	return nil
}
