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
	if o.Logs && c.log != nil && !o.Stream {
		return c.replay(ctx, io)
	}
	if !o.Stream {
		return nil
	}
	var replay func()
	if o.Logs && c.log != nil {
		replay = func() {
			if err := c.replay(ctx, io); err != nil {
				s.Log.Debug("cannot replay a container's log", containerField(c), zap.Error(err))
			}
		}
	}
	detached := s.serve(ctx, hub, io, input, r.Config.StdinOnce, replay)
	if detached {
		s.publish(c, eventtypes.ActionDetach)
	}
	return nil
}

// detachable returns the client's input, which ends at the detach keys where
// there is a terminal.
func detachable(io Streams, terminal bool) (io.Reader, error) {
	if io.Stdin == nil || !terminal {
		return io.Stdin, nil
	}
	return stdio.Detachable(io.Stdin, io.DetachKeys)
}

// replay writes the log so far.
func (c *ctr) replay(ctx context.Context, io Streams) error {
	return c.log.Read(ctx, logfile.ReadOptions{Tail: -1}, func(e logfile.Entry) error {
		out := io.Stdout
		if e.Stream == logfile.Stderr {
			out = io.Stderr
		}
		if out == nil {
			return nil
		}
		_, err := out.Write(e.Line)
		return err
	})
}

// serve connects a client to a hub until the output ends, the client goes, or
// it detaches, which is reported. once closes the process's input when the
// client's ends.
func (s *Service) serve(ctx context.Context, hub *stdio.Hub, client Streams, input io.Reader, once bool, replay func()) (detached bool) {
	out := hub.Attach(client.Stdout, client.Stderr, replay)
	defer hub.Detach(out)
	served := make(chan struct{})
	go func() { defer close(served); _ = out.Serve() }() // ends with Detach, at the latest
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
