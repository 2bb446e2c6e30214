package registry

import (
	"context"

	"go.uber.org/zap"

	"github.com/pouchfx/pouchfx/plugins"
	"github.com/pouchfx/pouchfx/types"
)

// routes is the chain of KindAPI.
type routes struct{ *chain[plugins.APIPlugin] }

// NewAPI makes the chain of API plugins.
func NewAPI(r *Roster, provided []*plugins.Registration) (plugins.APIPlugin, error) {
	c, err := newChain[plugins.APIPlugin](r, plugins.KindAPI, provided)
	return routes{c}, err
}

// UpdateHandler returns the routes that the last plugin left, or no routes at
// all when a plugin failed: the hook's signature has no room for an error.
// The API calls the function UpdateHandler instead, which has.
func (c routes) UpdateHandler(ctx context.Context, specs []*types.HandlerSpec) []*types.HandlerSpec {
	specs, err := c.update(ctx, specs)
	if err != nil {
		c.roster.log.Error("no routes", zap.Error(err))
		return nil
	}
	return specs
}

func (c routes) update(ctx context.Context, specs []*types.HandlerSpec) ([]*types.HandlerSpec, error) {
	if err := CheckRoutes(specs); err != nil {
		return nil, err
	}
	specs, err := run(ctx, c.chain, hook[plugins.APIPlugin, []*types.HandlerSpec]{
		name: "UpdateHandler", copy: copyRoutes,
		call: func(ctx context.Context, p plugins.APIPlugin, specs []*types.HandlerSpec) ([]*types.HandlerSpec, error) {
			specs = copyRoutes(p.UpdateHandler(ctx, specs))
			return specs, CheckRoutes(specs)
		},
	}, specs)
	if err != nil {
		return nil, err
	}
	return specs, nil
}

// UpdateHandler calls the hook of p, the chain or a plugin alone, and reports
// why the routes cannot be used.
func UpdateHandler(ctx context.Context, p plugins.APIPlugin, specs []*types.HandlerSpec) ([]*types.HandlerSpec, error) {
	if c, ok := p.(routes); ok {
		return c.update(ctx, specs)
	}
	specs = p.UpdateHandler(ctx, specs)
	return specs, CheckRoutes(specs)
}

// copyRoutes copies the list and its specs, which a plugin may change in place.
func copyRoutes(specs []*types.HandlerSpec) []*types.HandlerSpec {
	own := make([]*types.HandlerSpec, len(specs))
	for i, s := range specs {
		if s != nil {
			spec := *s
			own[i] = &spec
		}
	}
	return own
}
