package containers

import (
	"context"
	"fmt"
	"strconv"
	"syscall"
	"time"

	"github.com/containerd/errdefs"
	eventtypes "github.com/moby/moby/api/types/events"
	"github.com/moby/sys/signal"
	"go.uber.org/zap"
)

const (
	// defaultStopTimeout is how long a container has to end by itself.
	defaultStopTimeout = 10 * time.Second
	// killTimeout is how long a killed container has.
	killTimeout = 10 * time.Second
)

type stopOptions struct {
	timeout    *int   // seconds; nil means the container's own
	signal     string // empty means the container's own
	keepPolicy bool   // the restart policy stays in force, for the next start of the daemon
}

// Stop ends a container: its stop signal, then, after timeout seconds, KILL. A
// nil timeout is the container's own, a negative one waits for ever. It is an
// errdefs.ErrNotModified when the container does not run.
func (s *Service) Stop(ctx context.Context, name string, timeout *int, sig string) error {
	c, err := s.index.get(name)
	if err != nil {
		return err
	}
	return s.stop(ctx, c, stopOptions{timeout: timeout, signal: sig})
}

func (s *Service) stop(ctx context.Context, c *ctr, o stopOptions) error {
	first, err := c.stopSignal(o.signal)
	if err != nil {
		return err
	}
	for ended := false; ; ended = true {
		r, restarting, err := s.halt(ctx, c, o.keepPolicy)
		switch {
		case err != nil:
			return err
		case r == nil && !restarting && !ended:
			return notModified("container %s is already stopped", c.id)
		case r == nil:
			if restarting {
				c.waiters.answer(c.record().State.ExitCode, false)
			}
			s.publish(c, eventtypes.ActionStop)
			return nil
		}
		// The policy may have decided for another run before it was told.
		if err := s.end(ctx, c, r, first, c.stopTimeout(o.timeout)); err != nil {
			return err
		}
	}
}

// halt ends the wait for a restart and tells the policy that there is not to
// be another. It returns the run that is to be ended, waiting for a start that
// is under way, and whether there was a restart to come.
func (s *Service) halt(ctx context.Context, c *ctr, keepPolicy bool) (r *run, restarting bool, err error) {
	if r, restarting = c.unplan(); r == nil {
		if err := c.op.lock(ctx); err != nil {
			return nil, false, err
		}
		defer c.op.unlock()
		var again bool
		r, again = c.unplan()
		restarting = restarting || again
	}
	if keepPolicy || r == nil && !restarting {
		return r, restarting, nil
	}
	return r, restarting, s.setStopped(ctx, c)
}

// unplan returns the present run and ends the wait for the next one.
func (c *ctr) unplan() (r *run, restarting bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.run, c.endPending()
}

// end sends a signal, and KILL when the container has not ended in time.
func (s *Service) end(ctx context.Context, c *ctr, r *run, first syscall.Signal, timeout time.Duration) error {
	if err := s.signal(ctx, c, r, first); err != nil {
		return err
	}
	var late <-chan time.Time
	if timeout >= 0 {
		timer := time.NewTimer(timeout)
		defer timer.Stop()
		late = timer.C
	}
	select {
	case <-r.exited:
		return nil
	case <-ctx.Done(): // dockerd kills it, too, when its client goes away
		if timeout < 0 {
			return ctx.Err()
		}
	case <-late:
	}
	return s.killAndWait(context.WithoutCancel(ctx), c, r)
}

func (s *Service) killAndWait(ctx context.Context, c *ctr, r *run) error {
	if err := s.signal(ctx, c, r, syscall.SIGKILL); err != nil {
		return err
	}
	timer := time.NewTimer(killTimeout)
	defer timer.Stop()
	select {
	case <-r.exited:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-s.background.Done():
		return errStopped
	case <-timer.C:
		return fmt.Errorf("container %s did not end within %v of being killed: a process of it may hang in the kernel", c.id, killTimeout)
	}
}

// signal sends a signal to a run. One that has just ended needs none.
func (s *Service) signal(ctx context.Context, c *ctr, r *run, sig syscall.Signal) error {
	ctx, cancel := context.WithTimeout(s.Engine.Context(ctx), engineTimeout)
	defer cancel()
	err := r.task.Kill(ctx, sig)
	if err != nil && !errdefs.IsNotFound(err) && !contains(err.Error(), "process already finished") {
		return fmt.Errorf("cannot send signal %d to container %s: %w", sig, c.id, err)
	}
	s.publish(c, eventtypes.ActionKill, "signal", strconv.Itoa(int(sig)))
	ending := sig == syscall.SIGKILL || sig == c.ownSignal()
	c.mu.Lock()
	frozen := ending && c.paused && c.run == r
	c.paused = c.paused && !frozen
	c.mu.Unlock()
	if frozen && sig != syscall.SIGKILL { // it cannot end otherwise; for KILL the runtime sees to it
		if err := r.task.Resume(ctx); err != nil && !errdefs.IsNotFound(err) {
			s.Log.Warn("cannot resume a paused container that was killed", containerField(c), zap.Error(err))
		}
	}
	return nil
}

// setStopped notes that a client ended the container, so that its policy does
// not start it again. It costs a write only where there is a policy.
func (s *Service) setStopped(ctx context.Context, c *ctr) error {
	if r := c.record(); r.HostConfig.RestartPolicy.IsNone() || r.State.Stopped {
		return nil
	}
	return s.change(s.Engine.Context(context.WithoutCancel(ctx)), c, nil, func(r *record) { r.State.Stopped = true })
}

// ownSignal is what asks the container to end.
func (c *ctr) ownSignal() syscall.Signal {
	if sig, err := signal.ParseSignal(c.record().Config.StopSignal); err == nil {
		return sig
	}
	return syscall.SIGTERM
}

func (c *ctr) stopSignal(asked string) (syscall.Signal, error) {
	if asked == "" {
		return c.ownSignal(), nil
	}
	return parseSignal(asked)
}

func parseSignal(text string) (syscall.Signal, error) {
	sig, err := signal.ParseSignal(text)
	if err != nil || !signal.ValidSignalForPlatform(sig) {
		return 0, invalid("Invalid signal: %s", text)
	}
	return sig, nil
}

// stopTimeout is negative for ever.
func (c *ctr) stopTimeout(asked *int) time.Duration {
	if asked == nil {
		asked = c.record().Config.StopTimeout
	}
	if asked == nil {
		return defaultStopTimeout
	}
	return time.Duration(*asked) * time.Second
}

// Kill sends a signal, KILL when it is empty. It is an errdefs.ErrConflict
// when the container does not run. After KILL it waits for the end.
func (s *Service) Kill(ctx context.Context, name, text string) error {
	c, err := s.index.get(name)
	if err != nil {
		return err
	}
	sig := syscall.SIGKILL
	if text != "" {
		if sig, err = parseSignal(text); err != nil {
			return err
		}
	}
	ending := sig == syscall.SIGKILL || sig == c.ownSignal()
	r := c.current()
	if r == nil {
		if ending && c.cancelRestart() {
			return s.setStopped(ctx, c)
		}
		return conflict("container %s is not running", c.id)
	}
	if ending {
		if err := s.setStopped(ctx, c); err != nil {
			return err
		}
	}
	if sig == syscall.SIGKILL {
		return s.killAndWait(ctx, c, r)
	}
	return s.signal(ctx, c, r, sig)
}

// Restart stops a container that runs, and starts it.
func (s *Service) Restart(ctx context.Context, name string, timeout *int, sig string) error {
	c, err := s.index.get(name)
	if err != nil {
		return err
	}
	c.setOnce(true)
	defer c.setOnce(false)
	err = s.stop(ctx, c, stopOptions{timeout: timeout, signal: sig, keepPolicy: true})
	if err != nil && !errdefs.IsNotModified(err) {
		return err
	}
	if err := s.start(ctx, c, false); err != nil && !errdefs.IsNotModified(err) {
		return err
	}
	s.publish(c, eventtypes.ActionRestart)
	return nil
}

func (c *ctr) setOnce(on bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.once = on
}
