package containers

import (
	"context"
	"fmt"

	eventtypes "github.com/moby/moby/api/types/events"
)

// Pause freezes a container's processes.
func (s *Service) Pause(ctx context.Context, name string) error { return s.freeze(ctx, name, true) }

// Unpause lets them go on.
func (s *Service) Unpause(ctx context.Context, name string) error { return s.freeze(ctx, name, false) }

func (s *Service) freeze(ctx context.Context, name string, on bool) error {
	c, err := s.index.get(name)
	if err != nil {
		return err
	}
	if err := c.op.lock(ctx); err != nil {
		return err
	}
	defer c.op.unlock()
	c.mu.Lock()
	r, paused := c.run, c.paused
	c.mu.Unlock()
	switch {
	case r == nil:
		return conflict("Container %s is not running", c.id)
	case on && paused:
		return conflict("Container %s is already paused", c.id)
	case !on && !paused:
		return conflict("Container %s is not paused", c.id)
	}
	ctx, cancel := context.WithTimeout(s.Engine.Context(context.WithoutCancel(ctx)), engineTimeout)
	defer cancel()
	do, action := r.task.Resume, eventtypes.ActionUnPause
	if on {
		do, action = r.task.Pause, eventtypes.ActionPause
	}
	c.health.end() // a check that is frozen, or is refused, says nothing about the container
	if err := do(ctx); err != nil {
		if on {
			s.checkHealth(c, r, false, -1)
		}
		return fmt.Errorf("cannot %s container %s: %w", action, c.id, err)
	}
	c.mu.Lock()
	c.paused = on && c.run == r
	c.mu.Unlock()
	if !on {
		s.checkHealth(c, r, false, -1)
	}
	s.publish(c, action)
	return nil
}
