package containers

import (
	"context"
	"errors"
	"time"

	"github.com/containerd/containerd/v2/client"
	"github.com/containerd/containerd/v2/pkg/cio"
	"github.com/containerd/errdefs"
	"github.com/containerd/typeurl/v2"
	eventtypes "github.com/moby/moby/api/types/events"
	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/pouchfx/pouchfx/modules/containers/stdio"
	"github.com/pouchfx/pouchfx/modules/explain"
	"github.com/pouchfx/pouchfx/modules/registry"
)

// startTimeout bounds a start, with its hooks.
const startTimeout = 2 * time.Minute

// Start starts a container. It is an errdefs.ErrNotModified when it runs.
func (s *Service) Start(ctx context.Context, name string) error {
	c, err := s.index.get(name)
	if err != nil {
		return err
	}
	return s.start(ctx, c, false)
}

// start starts a container; restart says that its policy wants it.
func (s *Service) start(ctx context.Context, c *ctr, restart bool) error {
	if err := c.op.lock(ctx); err != nil {
		return err
	}
	defer c.op.unlock()
	if err := c.startable(restart); err != nil {
		return err
	}
	// From here on it is started or not, whether the client stays or not.
	ctx, cancel := context.WithTimeout(s.Engine.Context(context.WithoutCancel(ctx)), startTimeout)
	defer cancel()
	if err := c.tidied(ctx); err != nil {
		return err
	}
	c.looks.end(ctx, lookPatience)
	ctx, hooks := registry.Begin(ctx)
	err := s.launch(ctx, c, restart)
	s.explain(ctx, c, hooks, func(e *explain.Explanation, changes []registry.Change) { e.Start, e.Connect = changes, nil })
	if err != nil {
		c.cancelRestart()
		s.startFailed(ctx, c, err)
		return err
	}
	return nil
}

// startable reports why the container cannot be started now.
func (c *ctr) startable(restart bool) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.removing:
		return conflict("container is marked for removal and cannot be started")
	case c.run != nil && c.paused:
		return conflict("cannot start a paused container, try unpause instead")
	case c.run != nil:
		return notModified("container %s is already running", c.id)
	case restart && c.pending == nil:
		return errStopped // somebody was faster
	case !restart:
		c.endPending()
	}
	return nil
}

// tidied waits until nothing of the last run is left.
func (c *ctr) tidied(ctx context.Context) error {
	c.mu.Lock()
	last := c.last
	c.mu.Unlock()
	if last == nil {
		return nil
	}
	select {
	case <-last.gone:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// lookPatience is how long a start waits for those who have the files of the
// last run open.
const lookPatience = 2 * time.Second

// launch does what a start consists of; what fails is undone.
func (s *Service) launch(ctx context.Context, c *ctr, restart bool) (err error) {
	var undo undoList
	defer func() {
		if err != nil {
			undo.run(s.background, s.Log)
		}
	}()
	ctx = about(ctx, c)
	view, hooks, err := s.preStart(ctx, c)
	if err != nil {
		return err
	}
	hooked := len(hooks) > 0
	net, err := s.openNetwork(ctx, c, view, hooked, &undo)
	if err != nil {
		return err
	}
	spec, err := s.spec(ctx, c, view, net, hooks, &undo)
	if err != nil {
		return err
	}
	if err := s.saveStart(ctx, c, spec, restart, &undo); err != nil {
		return err
	}
	task, pipes, err := s.makeTask(ctx, c, &undo)
	if failed := net.failure(); failed != nil {
		return failed // it is why the task was not made, or will not be of use
	}
	if err != nil {
		return err
	}
	if net != nil {
		if err := net.ended(ctx, hooked); err != nil {
			return err
		}
		if err := s.writeNames(c, view); err != nil {
			return err
		}
	}
	r, ended, err := s.startTask(ctx, c, task, pipes)
	if err != nil {
		return err
	}
	c.mu.Lock()
	c.run, c.last, c.paused = r, r, false
	c.endPending() // a restart counts as one until the container runs
	c.mu.Unlock()
	s.publish(c, eventtypes.ActionStart)
	s.checkHealth(c, r, true, -1)
	s.owned.Go(func() { s.follow(c, r, ended) })
	return nil
}

// saveStart writes down that the container runs, before it does: a daemon that
// finds no task then knows that it has ended.
func (s *Service) saveStart(ctx context.Context, c *ctr, spec *specs.Spec, restart bool, undo *undoList) error {
	value, err := typeurl.MarshalAny(spec)
	if err != nil {
		return err
	}
	before := c.record().State
	if err := s.noteStart(c.id, before); err != nil {
		return err
	}
	err = s.change(ctx, c, value, func(r *record) {
		r.State = state{Started: true, StartedAt: time.Now().UTC(), FinishedAt: before.FinishedAt, RestartCount: before.RestartCount}
		if restart {
			r.State.RestartCount++
			r.State.Quick = before.Quick + 1
		} else {
			r.State.RestartCount = 0
		}
	})
	if err != nil {
		return err
	}
	undo.add("state", func(ctx context.Context) error {
		if err := s.change(ctx, c, nil, func(r *record) { r.State = before }); err != nil {
			return err
		}
		return s.forgetStart(c.id)
	})
	return nil
}

// makeTask makes the container's process, which does not run yet.
func (s *Service) makeTask(ctx context.Context, c *ctr, undo *undoList) (client.Task, *stdio.Pipes, error) {
	loaded, err := s.Engine.Client().LoadContainer(ctx, c.id)
	if err != nil {
		return nil, nil, err
	}
	record := c.record()
	pipes, err := stdio.OpenPipes(s.execDir(c.id), "", record.Config.OpenStdin, record.Config.Tty)
	if err != nil {
		return nil, nil, err
	}
	undo.add("pipes", func(context.Context) error { return pipes.Shut() })
	if c.log != nil {
		if err := c.log.Open(); err != nil {
			return nil, nil, err
		}
		undo.add("log", func(context.Context) error { return c.log.Close() })
	}
	if err := s.removeLostState(ctx, c.id); err != nil {
		return nil, nil, err
	}
	task, err := loaded.NewTask(ctx, func(string) (cio.IO, error) { return pipes, nil })
	if err != nil {
		return nil, nil, startError(err)
	}
	undo.add("task", func(ctx context.Context) error {
		_, err := task.Delete(ctx, client.WithProcessKill)
		return err
	})
	return task, pipes, nil
}

// startTask lets the container's process run.
func (s *Service) startTask(ctx context.Context, c *ctr, task client.Task, pipes *stdio.Pipes) (*run, <-chan client.ExitStatus, error) {
	// The wait belongs to the run, not to the request that started it.
	ended, err := task.Wait(s.background)
	if err != nil {
		return nil, nil, err
	}
	r := s.connect(c, task, pipes)
	if err := task.Start(ctx); err != nil {
		return nil, nil, startError(err)
	}
	r.pid = int(task.Pid())
	return r, ended, s.forgetStart(c.id)
}

// startFailed notes why a container could not be started, and lets go of those
// who wait for its output.
func (s *Service) startFailed(ctx context.Context, c *ctr, cause error) {
	if errors.Is(cause, errStopped) || errdefs.IsNotModified(cause) {
		return
	}
	c.renewHub()
	ctx, cancel := context.WithTimeout(s.Engine.Context(context.WithoutCancel(ctx)), engineTimeout)
	defer cancel()
	if err := s.change(ctx, c, nil, func(r *record) {
		r.State.ExitCode, r.State.Error = exitCodeOf(cause), cause.Error()
	}); err != nil {
		s.Log.Error("cannot note a failed start", containerField(c), errorField(err))
	}
	if c.record().HostConfig.AutoRemove && !c.isOnce() {
		s.owned.Go(func() { s.autoRemove(c) })
	}
}
