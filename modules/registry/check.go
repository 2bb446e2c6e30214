package registry

import (
	"context"
	"errors"

	"github.com/pouchfx/pouchfx/types"
)

type checkKey struct{}

// Checking returns a context with which what each plugin leaves of a create's
// configuration must pass check. A front end that cannot carry every field
// refuses a change there by the plugin that made it.
func Checking(ctx context.Context, check func(*types.ContainerCreateConfig) error) context.Context {
	return context.WithValue(ctx, checkKey{}, check)
}

// complete reports what the engine relies on and a plugin took away, and what
// the front end cannot carry.
func complete(ctx context.Context, config *types.ContainerCreateConfig) error {
	switch {
	case config.HostConfig == nil:
		return errors.New("it set HostConfig to nil: change its fields instead")
	case config.NetworkingConfig == nil:
		return errors.New("it set NetworkingConfig to nil: change its fields instead")
	}
	if check, ok := ctx.Value(checkKey{}).(func(*types.ContainerCreateConfig) error); ok {
		return check(config)
	}
	return nil
}
