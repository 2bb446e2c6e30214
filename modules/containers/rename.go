package containers

import (
	"context"

	eventtypes "github.com/moby/moby/api/types/events"
)

// Rename gives a container another name.
func (s *Service) Rename(ctx context.Context, name, newName string) error {
	c, err := s.index.get(name)
	if err != nil {
		return err
	}
	if newName == "" {
		return invalid("Neither old nor new names may be empty")
	}
	to, err := cleanName(newName)
	if err != nil {
		return err
	}
	if err := c.op.lock(ctx); err != nil {
		return err
	}
	defer c.op.unlock()
	from := c.record().Name
	if from == to {
		return invalid("Renaming a container with the same name as its current name")
	}
	if err := s.index.reserve(to); err != nil {
		return err
	}
	if err := s.change(s.Engine.Context(context.WithoutCancel(ctx)), c, nil, func(r *record) { r.Name = to }); err != nil {
		s.index.release(to)
		return err
	}
	s.index.rename(c, from, to)
	s.Networks.Rename(c.id, to)
	s.publish(c, eventtypes.ActionRename, "oldName", "/"+from)
	return nil
}
