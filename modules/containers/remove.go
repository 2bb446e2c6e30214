package containers

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/containerd/errdefs"
	eventtypes "github.com/moby/moby/api/types/events"
	"github.com/moby/moby/api/types/mount"
	"go.uber.org/zap"
)

// RemoveOptions say how a container is removed.
type RemoveOptions struct {
	// Force kills a container that runs.
	Force bool
	// Volumes removes the container's anonymous volumes, too.
	Volumes bool
	// Link removes a further name of a container, which another one linked to
	// it, in place of the container.
	Link bool
}

// Remove removes a container. It is an errdefs.ErrConflict when it runs, unless
// Force is set, and while another removal is in progress. As containers have
// no further names, to remove one is errdefs.ErrNotFound or, of a container's
// own name, errdefs.ErrConflict.
func (s *Service) Remove(ctx context.Context, name string, o RemoveOptions) error {
	c, err := s.index.get(name)
	if err != nil {
		return err
	}
	if o.Link {
		return conflict("Conflict, cannot remove the default link name of the container")
	}
	return s.remove(ctx, c, o)
}

func (s *Service) remove(ctx context.Context, c *ctr, o RemoveOptions) (err error) {
	if err := c.markRemoving(o.Force); err != nil {
		return err
	}
	defer func() {
		if err != nil {
			c.mu.Lock()
			c.removing = false
			c.mu.Unlock()
		}
	}()
	// The client may go; what is begun is ended.
	ctx, cancel := context.WithTimeout(s.Engine.Context(context.WithoutCancel(ctx)), time.Minute)
	defer cancel()
	c.cancelRestart()
	if r := c.current(); r != nil {
		if err := s.killAndWait(ctx, c, r); err != nil {
			return err
		}
	}
	if err := c.op.lock(ctx); err != nil { // a start may be under way
		return err
	}
	defer c.op.unlock()
	if r := c.current(); r != nil {
		if err := s.killAndWait(ctx, c, r); err != nil {
			return err
		}
	}
	if err := c.tidied(ctx); err != nil {
		return err
	}
	return s.erase(ctx, c, o.Volumes)
}

// markRemoving makes one caller the one who removes the container.
func (c *ctr) markRemoving(force bool) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	name := c.record().Name
	switch {
	case c.removing:
		return conflict("removal of container %s is already in progress", c.id)
	case c.run != nil && c.paused && !force:
		return conflict("cannot remove container %q: container is paused and must be unpaused first", "/"+name)
	case c.run != nil && !force:
		return conflict("cannot remove container %q: container is running: stop the container before removing or force remove", "/"+name)
	case c.pending != nil && !force:
		return conflict("cannot remove container %q: container is restarting: stop the container before removing or force remove", "/"+name)
	}
	c.removing = true
	return nil
}

// erase removes a container that does not run. Its anonymous volumes go first,
// if they are to, as nothing else knows of them; then the record: without it,
// what is left is nobody's, and the next start removes it.
func (s *Service) erase(ctx context.Context, c *ctr, volumes bool) error {
	problem := func(what string, err error) {
		if err != nil && !errdefs.IsNotFound(err) {
			s.Log.Warn("cannot remove a part of a container", containerField(c), zap.String("step", what), zap.Error(err))
		}
	}
	if volumes {
		if err := s.eraseVolumes(ctx, c, problem); err != nil {
			return err
		}
	}
	r := c.record()
	if err := s.Engine.Client().ContainerService().Delete(ctx, c.id); err != nil && !errdefs.IsNotFound(err) {
		return fmt.Errorf("cannot remove container %s: %w", c.id, err)
	}
	problem("runtime's state", s.removeLostState(ctx, c.id))
	problem("network", s.Networks.Close(ctx, c.id)) // again, if it could not be taken down before
	problem("snapshot", s.removeSnapshot(ctx, r.Snapshotter, c.id))
	for _, m := range r.Mounts {
		if m.Type == mount.TypeVolume {
			s.Volumes.Release(ctx, m.Name, c.id)
		}
	}
	c.outlet().Close(0)
	problem("files", s.removeDirs(c))
	s.index.remove(c)
	c.forgetExecs(&s.execs)
	s.publish(c, eventtypes.ActionDestroy)
	c.waiters.answer(r.State.ExitCode, true)
	return nil
}

// eraseVolumes removes a container's anonymous volumes. That it does is written
// down before, so that a daemon that is killed leaves none behind.
func (s *Service) eraseVolumes(ctx context.Context, c *ctr, problem func(string, error)) error {
	r := c.record()
	for _, m := range r.Mounts {
		if m.Type != mount.TypeVolume || !m.Anonymous {
			continue
		}
		if !c.record().Removing {
			err := s.change(ctx, c, nil, func(r *record) { r.Removing = true })
			if err != nil && !errdefs.IsNotFound(err) {
				return err
			}
		}
		s.Volumes.Release(ctx, m.Name, c.id)
		if err := s.Volumes.Remove(ctx, m.Name, false); !errdefs.IsConflict(err) { // another container may use it
			problem("volume "+m.Name, err)
		}
	}
	return nil
}

func (c *ctr) forgetExecs(all *sync.Map) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for id := range c.execs {
		all.Delete(id)
	}
	clear(c.execs)
}
