package containers

import (
	"context"
	"errors"

	"github.com/containerd/errdefs"

	"github.com/pouchfx/pouchfx/modules/explain"
	"github.com/pouchfx/pouchfx/modules/registry"
	"github.com/pouchfx/pouchfx/plugins"
	"github.com/pouchfx/pouchfx/types"
)

// Explain tells what plugins did to a container; it is empty when none did
// something, or an older version made the container.
func (s *Service) Explain(ctx context.Context, name string) (*explain.Explanation, error) {
	c, err := s.index.get(name)
	if err != nil {
		return nil, err
	}
	if !c.explained.Load() {
		return new(explain.Explanation), nil
	}
	record, err := s.Engine.Client().ContainerService().Get(s.Engine.Context(ctx), c.id)
	if err != nil {
		return nil, err
	}
	e, _, err := explain.Decode(record.Extensions)
	return e, err
}

// explain keeps what hooks did to a container, whose lock the caller holds, if
// they did something. What cannot be kept undoes nothing.
func (s *Service) explain(ctx context.Context, c *ctr, hooks *registry.Operation, note func(*explain.Explanation, []registry.Change)) {
	if !hooks.Notable() {
		return
	}
	err := explain.Note(ctx, s.Engine.Client().ContainerService(), c.id, func(e *explain.Explanation) { note(e, hooks.Changes()) })
	if err == nil {
		c.explained.Store(true)
	} else if !errdefs.IsNotFound(err) {
		s.Log.Warn("cannot keep what plugins changed", containerField(c), errorField(err))
	}
}

// DryRun runs the PreCreate hooks, and all that can be checked beforehand, on
// a copy of the configuration. What the hooks did is undone as if the create
// had failed. They are told (plugins.Request.DryRun).
func (s *Service) DryRun(ctx context.Context, o CreateOptions) (*explain.DryRun, error) {
	name := o.Name
	if name == "" {
		name = inventName()
	}
	name, err := cleanName(name)
	if err != nil {
		return nil, err
	}
	request := plugins.RequestFrom(ctx)
	request.DryRun = true
	ctx, hooks := registry.Begin(plugins.WithRequest(ctx, request))
	result := &explain.DryRun{}
	config, err := s.preCreate(ctx, name, o.Config)
	if err == nil {
		result.Config = config
		result.Warnings, err = s.tryPlan(ctx, name, config, o)
	}
	result.Explain = &explain.Explanation{Create: hooks.Changes()}
	if err := errors.Join(err, hooks.Undo(s.background)); err != nil {
		result.Error = err.Error()
	}
	return result, nil
}

// tryPlan reports why a create would fail, as far as that is known beforehand.
func (s *Service) tryPlan(ctx context.Context, name string, config *types.ContainerCreateConfig, o CreateOptions) (warnings []string, err error) {
	if o.Name != "" {
		if err := s.index.free(name); err != nil {
			return nil, err
		}
	}
	_, _, warnings, err = s.plan(s.Engine.Context(ctx), name, config, o.Platform)
	return warnings, err
}
