package containers

import (
	"context"
	"strconv"
	"sync"
	"time"

	"github.com/containerd/containerd/v2/client"
	"github.com/containerd/errdefs"
	eventtypes "github.com/moby/moby/api/types/events"
	"go.uber.org/zap"
	"golang.org/x/sys/unix"

	"github.com/pouchfx/pouchfx/modules/containers/stdio"
)

// follow owns a run: it waits for its end and does what follows from it.
func (s *Service) follow(c *ctr, r *run, ended <-chan client.ExitStatus) {
	status, ok := s.awaitExit(c, r, ended)
	if !ok {
		return // the daemon stops; the container goes on
	}
	s.finish(c, r, status)
}

// awaitExit waits for the end of a run; ok is false when the daemon ends first.
func (s *Service) awaitExit(c *ctr, r *run, ended <-chan client.ExitStatus) (status client.ExitStatus, ok bool) {
	for {
		select {
		case status = <-ended:
		case <-s.background.Done():
			return status, false
		}
		if status.Error() == nil {
			return status, s.background.Err() == nil
		}
		if s.background.Err() != nil {
			return status, false
		}
		// The engine did not answer: that is no end. An external containerd
		// may have been restarted.
		if s.sleep(time.Second) != nil {
			return status, false
		}
		current, err := r.task.Status(s.background)
		if errdefs.IsNotFound(err) { // its shim died; the engine has killed what was left
			return *client.NewExitStatus(uint32(exitKilled), time.Now(), nil), true
		}
		if err == nil && current.Status == client.Stopped {
			return *client.NewExitStatus(current.ExitStatus, current.ExitTime, nil), true
		}
		if ended, err = r.task.Wait(s.background); err != nil {
			s.Log.Warn("cannot wait for a container", containerField(c), zap.Error(err))
			return status, false
		}
	}
}

const (
	// exitUnknown is the status of a container whose end nobody saw; dockerd's.
	exitUnknown = 255
	exitKilled  = 128 + int(unix.SIGKILL)
)

// finish does what follows from the end of a run: the network is taken down and
// the output read to its end, the end is saved, then told; the task goes and the
// policy decides.
func (s *Service) finish(c *ctr, r *run, status client.ExitStatus) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(s.background), startTimeout)
	defer cancel()
	unplugged := s.closeNetwork(ctx, c)
	r.drain(s.Log, c.id)
	oom := oomKilled(s.cgroupPath(c.id, c.record()))
	s.saveEnd(ctx, c, state{ExitCode: int(status.ExitCode()), FinishedAt: status.ExitTime(), OOMKilled: oom})
	var tidied sync.WaitGroup
	tidied.Go(func() { s.tidy(ctx, c, r.task) })
	<-unplugged // who is told that it ended can have its ports and addresses
	s.tellEnd(c, r)
	tidied.Wait()
	remove := c.record().HostConfig.AutoRemove && !c.isOnce()
	close(r.gone)
	if remove {
		s.autoRemove(c)
	}
}

// saveEnd saves the end of a run. end holds what is known about it.
func (s *Service) saveEnd(ctx context.Context, c *ctr, end state) {
	if end.FinishedAt.IsZero() {
		end.FinishedAt = time.Now()
	}
	health := c.health.last()
	err := s.change(ctx, c, nil, func(rec *record) {
		was := rec.State
		end.Health = health
		end.StartedAt, end.RestartCount, end.Stopped = was.StartedAt, was.RestartCount, was.Stopped
		end.FinishedAt = end.FinishedAt.UTC()
		if !lasted(end) {
			end.Quick = was.Quick
		}
		rec.State = end
	})
	if err != nil {
		// It is told all the same: the next start finds it ended again.
		s.Log.Error("cannot save how a container ended", containerField(c), zap.Error(err))
	}
}

// tellEnd tells the end of a run to all who wait, and has the container started
// again if its policy wants that. r is nil for a run that this daemon never had.
func (s *Service) tellEnd(c *ctr, r *run) {
	state := c.record().State
	restart := s.wantsRestart(c)
	c.mu.Lock()
	c.run, c.paused = nil, false
	if restart {
		s.restartLater(c, backoff(state))
	}
	c.hub = stdio.NewHub()
	c.mu.Unlock()
	if state.OOMKilled {
		s.publish(c, eventtypes.ActionOOM)
	}
	s.publish(c, eventtypes.ActionDie, "exitCode", strconv.Itoa(state.ExitCode),
		"execDuration", strconv.Itoa(int(state.FinishedAt.Sub(state.StartedAt).Seconds())))
	if r != nil {
		close(r.exited)
	}
	c.waiters.answer(state.ExitCode, false)
}

// tidy removes what is left of a run: its task and its volumes' mounts.
func (s *Service) tidy(ctx context.Context, c *ctr, task client.Task) {
	if task != nil {
		_, err := task.Delete(ctx)
		if errdefs.IsFailedPrecondition(err) { // it was made, but never started
			_, err = task.Delete(ctx, client.WithProcessKill)
		}
		if err != nil && !errdefs.IsNotFound(err) {
			s.Log.Error("cannot delete the task of a container that ended", containerField(c), zap.Error(err))
		}
	}
	if err := s.unmountShm(c.id); err != nil {
		s.Log.Error("cannot unmount a container's shared memory", containerField(c), zap.Error(err))
	}
	if err := s.unmountVolumes(ctx, c); err != nil {
		s.Log.Error("cannot unmount a container's volumes", containerField(c), zap.Error(err))
	}
}

// autoRemove removes a container that asked for it.
func (s *Service) autoRemove(c *ctr) {
	err := s.remove(s.background, c, RemoveOptions{Force: true, Volumes: true})
	if err != nil && !errdefs.IsConflict(err) && !errdefs.IsNotFound(err) { // somebody was faster
		s.Log.Error("cannot remove a container that ended", containerField(c), zap.Error(err))
	}
}

// isOnce tells whether a restart by a client is under way, which neither the
// policy nor AutoRemove may disturb.
func (c *ctr) isOnce() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.once
}

// sleep waits, or returns an error when the daemon stops.
func (s *Service) sleep(d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-s.background.Done():
		return errStopped
	}
}

func containerField(c *ctr) zap.Field { return zap.String("container", c.id) }
func errorField(err error) zap.Field  { return zap.Error(err) }
