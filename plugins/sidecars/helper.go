package sidecars

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"runtime"
	"slices"
	"sync/atomic"
	"time"

	"go.uber.org/zap"
	"golang.org/x/sys/unix"
)

// helper is one of the helpers, from its start to its stop.
type helper struct {
	Helper
	log    *zap.Logger
	env    []string
	output *output

	ctx   context.Context // ends when it must end
	end   context.CancelFunc
	state atomic.Int32
	done  chan struct{} // closed when no process of it is left and none will come
	err   error         // once done: why it ended unasked, or would not end
}

// A helper is starting until it is ready; if it ends before, it has failed.
const (
	starting = iota
	ready
	failed
)

func newHelper(c Helper, me daemon, log *zap.Logger) *helper {
	h := &helper{Helper: c, log: log, output: newOutput(log), end: func() {}, done: make(chan struct{})}
	for _, name := range slices.Sorted(maps.Keys(c.Env)) {
		h.env = append(h.env, name+"="+c.Env[name])
	}
	h.env = append(h.env, me.mark(c.Name))
	h.Dir = cmp.Or(h.Dir, "/")
	h.Grace = cmp.Or(h.Grace, 5*time.Second)
	h.Ready.Within = cmp.Or(h.Ready.Within, 10*time.Second)
	h.Restart.First = cmp.Or(h.Restart.First, 100*time.Millisecond)
	h.Restart.Most = cmp.Or(h.Restart.Most, max(h.Restart.First, 30*time.Second))
	return h
}

// start starts the helper and waits until it is ready, or ctx ends. It is to
// be stopped even when it failed.
func (h *helper) start(ctx context.Context) error {
	h.ctx, h.end = context.WithCancel(context.Background())
	condition := h.Ready.condition(h)
	go h.supervise()
	within, cancel := context.WithTimeout(ctx, h.Ready.Within)
	defer cancel()
	err := h.await(within, condition)
	if err == nil && h.state.CompareAndSwap(starting, ready) {
		h.log.Info("helper is ready")
		return nil
	}
	switch {
	case h.state.Load() == failed:
		<-h.done
		return fmt.Errorf("helper %q ended before it was ready: %w%s", h.Name, h.err, h.output.lastWords())
	case ctx.Err() != nil:
		return fmt.Errorf("helper %q: the daemon stops before it is ready", h.Name)
	}
	return fmt.Errorf("helper %q was not ready within %v: %w%s: see to it, or give it longer with ready.within", h.Name, h.Ready.Within, err, h.output.lastWords())
}

// stop ends the helper and waits for its end.
func (h *helper) stop() error {
	if h.ctx == nil {
		return nil
	}
	h.end()
	<-h.done
	if h.state.Load() == failed {
		return nil // that has been told
	}
	return h.err
}

// supervise runs the helper, and again whenever it ends.
//
// It has a thread of its own, as startProcess demands.
func (h *helper) supervise() {
	defer close(h.done)
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	delay := h.Restart.First
	for {
		began := time.Now()
		err := h.run()
		switch {
		case h.ctx.Err() != nil:
			h.err = err
			return
		case h.state.CompareAndSwap(starting, failed):
			h.err = err
			return
		}
		if time.Since(began) > h.Restart.Most {
			delay = h.Restart.First
		}
		h.log.Warn("helper ended: it is started again", zap.Error(err), zap.Duration("delay", delay))
		select {
		case <-time.After(delay):
		case <-h.ctx.Done():
			return
		}
		delay = min(2*delay, h.Restart.Most)
	}
}

// run runs one process to its end and returns how it ended. When it was told
// to end that is an error only if it had to be killed.
func (h *helper) run() error {
	p, err := startProcess(h.Command, h.env, h.Dir, h.output)
	if err != nil {
		return err
	}
	h.log.Info("helper started", zap.Int("pid", p.cmd.Process.Pid))
	exited, terminated := make(chan struct{}), make(chan error, 1)
	go func() { terminated <- h.terminate(p, exited) }()
	err = p.wait()
	close(exited)
	if stopped := <-terminated; h.ctx.Err() != nil {
		return stopped
	}
	return cmp.Or(err, errors.New("exit status 0"))
}

// terminate ends a process when the helper must end.
func (h *helper) terminate(p *process, exited <-chan struct{}) error {
	select {
	case <-exited:
		return nil
	case <-h.ctx.Done():
	}
	p.signal(unix.SIGTERM)
	select {
	case <-exited:
		return nil
	case <-time.After(h.Grace):
	}
	p.signal(unix.SIGKILL)
	return fmt.Errorf("helper %q did not end within %v of SIGTERM and was killed%s: have it heed SIGTERM, or give it longer with grace", h.Name, h.Grace, h.output.lastWords())
}
