package containers

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/containerd/containerd/v2/client"
	corecontainers "github.com/containerd/containerd/v2/core/containers"
	"github.com/containerd/containerd/v2/core/leases"
	"github.com/containerd/errdefs"
	"github.com/moby/moby/api/types/mount"
	"go.uber.org/zap"

	"github.com/pouchfx/pouchfx/modules/containers/stdio"
	"github.com/pouchfx/pouchfx/modules/explain"
)

// reattachAtOnce bounds how many containers are looked after at a time.
const reattachAtOnce = 8

// reconcile brings the store, the runtime and our files together after the
// last daemon's end, however that was: half-made creates are undone, the
// containers are known again with their state, those that run are followed,
// and what belongs to nobody is removed. A container whose record cannot be
// read is left alone, with all that it has.
func (s *Service) reconcile(ctx context.Context) error {
	defer s.Engine.ReleaseOutput()
	found, err := s.Engine.Client().ContainerService().List(ctx)
	if err != nil {
		return fmt.Errorf("cannot list the containers: %w", err)
	}
	known := map[string]bool{}
	var ours []*ctr
	for _, one := range found {
		known[one.ID] = true
		c, err := s.restore(ctx, one)
		if err != nil {
			s.Log.Error("a container's record is damaged: the container cannot be used and is left as it is",
				zap.String("container", one.ID), zap.String("name", one.Labels[labelName]), zap.Error(err))
			continue
		}
		if c != nil {
			ours = append(ours, c)
		}
	}
	if err := s.undoCreates(ctx, known); err != nil {
		return err
	}
	s.each(ours, func(c *ctr) { s.resume(ctx, c) })
	s.sweep(ctx, known)
	s.killLostShims()
	if err := s.Volumes.UnmountUnused(ctx); err != nil {
		s.Log.Warn("cannot unmount volumes that nobody uses", zap.Error(err))
	}
	return nil
}

// each calls f for all containers, a few at a time.
func (s *Service) each(list []*ctr, f func(*ctr)) {
	var all sync.WaitGroup
	slots := make(chan struct{}, reattachAtOnce)
	for _, c := range list {
		slots <- struct{}{}
		all.Go(func() { defer func() { <-slots }(); f(c) })
	}
	all.Wait()
}

// restore makes a container of ours known again; nil for one that is not ours.
func (s *Service) restore(ctx context.Context, from corecontainers.Container) (*ctr, error) {
	r, ours, err := decodeRecord(from)
	if err != nil || !ours {
		return nil, err
	}
	c := newCtr(from.ID, r, s.newLog(from.ID, r.HostConfig.LogConfig))
	_, explained := from.Extensions[explain.Extension]
	c.explained.Store(explained)
	if err := s.index.reserve(r.Name); err != nil {
		return nil, err
	}
	if err := s.index.add(c); err != nil {
		s.index.release(r.Name)
		return nil, err
	}
	for _, m := range r.Mounts {
		if m.Type != mount.TypeVolume {
			continue
		}
		if err := s.Volumes.Acquire(ctx, m.Name, c.id); err != nil {
			s.Log.Warn("a container's volume is missing", containerField(c), zap.String("volume", m.Name), zap.Error(err))
		}
	}
	return c, nil
}

// undoCreates removes what creates made that did not get as far as a record,
// and the leases of those that did.
func (s *Service) undoCreates(ctx context.Context, known map[string]bool) error {
	service := s.Engine.Client().LeasesService()
	list, err := service.List(ctx, fmt.Sprintf("labels.%q==%s", labelOp, opCreate))
	if err != nil {
		return fmt.Errorf("cannot list the leases: %w", err)
	}
	for _, l := range list {
		id, ok := strings.CutPrefix(l.ID, leasePrefix)
		if !ok {
			continue
		}
		if !known[id] {
			for label := range l.Labels {
				if volume, ok := strings.CutPrefix(label, labelVolume); ok {
					s.note("volume of a half-made container", id, s.Volumes.Remove(ctx, volume, true))
				}
			}
			s.note("snapshot of a half-made container", id, s.removeSnapshot(ctx, l.Labels[labelSnapshotter], id))
		}
		s.note("lease", id, service.Delete(ctx, l, leases.SynchronousDelete))
	}
	return nil
}

// note logs a failure of reconciliation that is no reason not to start.
func (s *Service) note(what, id string, err error) {
	if err != nil && !errdefs.IsNotFound(err) && !errdefs.IsConflict(err) {
		s.Log.Warn("cannot clean up after the last daemon", zap.String("step", what), zap.String("container", id), zap.Error(err))
	}
}

// resume brings a container's state up to date and follows it if it runs.
func (s *Service) resume(ctx context.Context, c *ctr) {
	loaded, err := s.Engine.Client().LoadContainer(ctx, c.id)
	if err != nil {
		s.Log.Error("cannot load a container", containerField(c), zap.Error(err))
		return
	}
	task, err := loaded.Task(ctx, nil)
	if err != nil && !errdefs.IsNotFound(err) {
		s.Log.Error("cannot load the task of a container", containerField(c), zap.Error(err))
	}
	if err != nil {
		task = nil
		s.note("runtime's state", c.id, s.removeLostState(ctx, c.id))
	}
	if task == nil || !s.reattach(ctx, c, task) {
		s.ended(ctx, c, task)
	}
}

// reattach follows a task that runs; false means that it does not.
func (s *Service) reattach(ctx context.Context, c *ctr, task client.Task) bool {
	status, err := task.Status(ctx)
	if err != nil || status.Status == client.Stopped || status.Status == client.Created {
		return false
	}
	s.note("note of a start", c.id, s.forgetStart(c.id))
	record := c.record()
	for _, m := range record.Mounts {
		if m.Type == mount.TypeVolume {
			_, err := s.Volumes.Mount(ctx, m.Name, c.id)
			s.note("volume", c.id, err)
		}
	}
	ended, err := task.Wait(s.background)
	if err != nil {
		s.Log.Error("cannot wait for a container", containerField(c), zap.Error(err))
		return false
	}
	r := s.connect(c, task, s.reopen(c, true))
	c.mu.Lock()
	c.run, c.last, c.paused = r, r, status.Status == client.Paused || status.Status == client.Pausing
	c.mu.Unlock()
	s.owned.Go(func() { s.follow(c, r, ended) })
	if status.Status == client.Running {
		s.checkHealth(c, r, true, 0)
	}
	return true
}

// reopen opens the pipes of the last daemon's run and the log. The container
// does not have to suffer where that does not work.
func (s *Service) reopen(c *ctr, running bool) *stdio.Pipes {
	config := &c.record().Config
	pipes, err := stdio.ReopenPipes(s.execDir(c.id), running && config.OpenStdin, config.Tty)
	if running || !errors.Is(err, os.ErrNotExist) { // a reboot takes the pipes along
		s.note("pipes", c.id, err)
	}
	if c.log != nil {
		s.note("log", c.id, c.log.Open())
	}
	return pipes
}

// ended settles a container that does not run: it had run, or was about to,
// when the last daemon ended, or it had not. Then what it asks for is done:
// its removal, or its restart policy.
func (s *Service) ended(ctx context.Context, c *ctr, task client.Task) {
	<-s.closeNetwork(ctx, c)
	if c.record().State.Started {
		s.settleLast(ctx, c, task)
	}
	s.tidy(ctx, c, task)
	s.note("pipes", c.id, os.RemoveAll(s.execDir(c.id)))
	r := c.record()
	if r.Removing {
		s.note("container", c.id, s.erase(ctx, c, true))
		return
	}
	if r.State.FinishedAt.IsZero() { // never started
		return
	}
	if r.HostConfig.AutoRemove {
		s.owned.Go(func() { s.autoRemove(c) })
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	// As dockerd: always means also at the daemon's start, even for a
	// container that a client had stopped.
	policy := r.HostConfig.RestartPolicy
	if c.pending == nil && (policy.IsAlways() || shouldRestart(policy, r.State)) {
		s.restartLater(c, 0)
	}
}

// exitInit is the status of runc's first process when it ends before it has
// become the container's, as when the daemon goes away in the middle of a start.
const exitInit = 255

// settleLast settles the run of a container that no daemon followed to its
// end, with what it wrote. A start that did not get as far as that is undone.
func (s *Service) settleLast(ctx context.Context, c *ctr, task client.Task) {
	end, ran := s.lastExit(ctx, c, task)
	if before, interrupted := s.interruptedStart(c.id); interrupted && (!ran || end.ExitCode == exitInit) {
		if err := s.change(ctx, c, nil, func(r *record) { r.State = before }); err != nil {
			s.Log.Error("cannot undo an interrupted start", containerField(c), zap.Error(err))
		}
		return
	}
	if !ran {
		end = state{ExitCode: exitUnknown, FinishedAt: time.Now()}
	}
	if c.log != nil {
		// What the daemon had read is in the spools, the rest still in the pipes.
		r := &run{pipes: s.reopen(c, false), hub: c.outlet()}
		s.pump(c, r.hub, r.pipes)
		r.drain(s.Log, c.id)
	}
	s.saveEnd(ctx, c, end)
	s.tellEnd(c, nil)
}

// lastExit finds out how a container ended that no daemon followed; false when
// nobody saw it.
func (s *Service) lastExit(ctx context.Context, c *ctr, task client.Task) (state, bool) {
	if task != nil {
		if status, err := task.Status(ctx); err == nil && status.Status == client.Stopped {
			return state{ExitCode: int(status.ExitStatus), FinishedAt: status.ExitTime}, true
		}
	}
	if exit, ok := s.Engine.LastExit(c.id); ok && exit.At.After(c.record().State.StartedAt) {
		return state{ExitCode: int(exit.Status), FinishedAt: exit.At}, true
	}
	return state{}, false
}
