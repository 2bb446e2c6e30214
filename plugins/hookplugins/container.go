package hookplugins

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/pouchfx/pouchfx/networktypes"
	"github.com/pouchfx/pouchfx/plugins"
	"github.com/pouchfx/pouchfx/types"
)

// Container returns p as a plugin of today. Each of its hooks may have the
// signature of any release, and those that came later may be missing:
//
//	PreCreate(*types.ContainerCreateConfig) error
//	PreCreate(io.ReadCloser) (io.ReadCloser, error)
//	PreStart(interface{}) ([]int, [][]string, error)
//	PreCreateEndpoint(string, []string, *networktypes.Endpoint) error
//	PreCreateEndpoint(string, []string) (priority int, disableResolver bool, genericParam map[string]interface{})
//	PreUpdate(io.ReadCloser) (io.ReadCloser, error)
//	PostUpdate(string, []string) error
//
// each with or without a context.Context as its first argument. A hook of
// another signature is an error, and so is a plugin without any hook.
func Container(p any) (plugins.ContainerPlugin, error) {
	if c, ok := p.(plugins.ContainerPlugin); ok {
		return c, nil
	}
	c := &container{adapted: adapted{p}}
	err := errors.Join(c.findPreCreate(), c.findPreStart(), c.findPreCreateEndpoint(), c.findPreUpdate(), c.findPostUpdate())
	if err == nil && c.preCreate == nil && c.preStart == nil && c.preCreateEndpoint == nil && c.preUpdate == nil && c.postUpdate == nil {
		err = none(p, "hook of a container plugin")
	}
	if err != nil {
		return nil, err
	}
	return c, nil
}

// container has the hooks that its plugin has.
type container struct {
	plugins.ContainerBase
	adapted
	preCreate         func(context.Context, *types.ContainerCreateConfig) error
	preStart          func(context.Context, any) ([]int, [][]string, error)
	preCreateEndpoint func(context.Context, string, []string, *networktypes.Endpoint) error
	preUpdate         func(context.Context, io.ReadCloser) (io.ReadCloser, error)
	postUpdate        func(context.Context, string, []string) error
}

func (c *container) findPreCreate() error {
	switch p := c.plugin.(type) {
	case interface {
		PreCreate(context.Context, *types.ContainerCreateConfig) error
	}:
		c.preCreate = p.PreCreate
	case interface {
		PreCreate(*types.ContainerCreateConfig) error
	}:
		c.preCreate = func(_ context.Context, config *types.ContainerCreateConfig) error { return p.PreCreate(config) }
	case interface {
		PreCreate(context.Context, io.ReadCloser) (io.ReadCloser, error)
	}:
		c.preCreate = func(ctx context.Context, config *types.ContainerCreateConfig) error {
			return throughBody(config, func(body io.ReadCloser) (io.ReadCloser, error) { return p.PreCreate(ctx, body) })
		}
	case interface {
		PreCreate(io.ReadCloser) (io.ReadCloser, error)
	}:
		c.preCreate = func(_ context.Context, config *types.ContainerCreateConfig) error {
			return throughBody(config, p.PreCreate)
		}
	default:
		return odd(c.plugin, "PreCreate", "func(*types.ContainerCreateConfig) error or func(io.ReadCloser) (io.ReadCloser, error)")
	}
	return nil
}

func (c *container) findPreStart() error {
	switch p := c.plugin.(type) {
	case interface {
		PreStart(context.Context, interface{}) ([]int, [][]string, error)
	}:
		c.preStart = p.PreStart
	case interface {
		PreStart(interface{}) ([]int, [][]string, error)
	}:
		c.preStart = func(_ context.Context, started any) ([]int, [][]string, error) { return p.PreStart(started) }
	default:
		return odd(c.plugin, "PreStart", "func(interface{}) ([]int, [][]string, error)")
	}
	return nil
}

func (c *container) findPreCreateEndpoint() error {
	switch p := c.plugin.(type) {
	case interface {
		PreCreateEndpoint(context.Context, string, []string, *networktypes.Endpoint) error
	}:
		c.preCreateEndpoint = p.PreCreateEndpoint
	case interface {
		PreCreateEndpoint(string, []string, *networktypes.Endpoint) error
	}:
		c.preCreateEndpoint = func(_ context.Context, id string, env []string, e *networktypes.Endpoint) error {
			return p.PreCreateEndpoint(id, env, e)
		}
	case interface {
		PreCreateEndpoint(string, []string) (int, bool, map[string]interface{})
	}:
		c.preCreateEndpoint = func(_ context.Context, id string, env []string, e *networktypes.Endpoint) error {
			var params map[string]any
			e.Priority, e.DisableResolver, params = p.PreCreateEndpoint(id, env)
			if params != nil {
				e.GenericParams = params
			}
			return nil
		}
	default:
		return odd(c.plugin, "PreCreateEndpoint", "func(string, []string, *networktypes.Endpoint) error or func(string, []string) (int, bool, map[string]interface{})")
	}
	return nil
}

func (c *container) findPreUpdate() error {
	switch p := c.plugin.(type) {
	case interface {
		PreUpdate(context.Context, io.ReadCloser) (io.ReadCloser, error)
	}:
		c.preUpdate = p.PreUpdate
	case interface {
		PreUpdate(io.ReadCloser) (io.ReadCloser, error)
	}:
		c.preUpdate = func(_ context.Context, body io.ReadCloser) (io.ReadCloser, error) { return p.PreUpdate(body) }
	default:
		return odd(c.plugin, "PreUpdate", "func(io.ReadCloser) (io.ReadCloser, error)")
	}
	return nil
}

func (c *container) findPostUpdate() error {
	switch p := c.plugin.(type) {
	case interface {
		PostUpdate(context.Context, string, []string) error
	}:
		c.postUpdate = p.PostUpdate
	case interface {
		PostUpdate(string, []string) error
	}:
		c.postUpdate = func(_ context.Context, rootfs string, env []string) error { return p.PostUpdate(rootfs, env) }
	default:
		return odd(c.plugin, "PostUpdate", "func(string, []string) error")
	}
	return nil
}

func (c *container) PreCreate(ctx context.Context, config *types.ContainerCreateConfig) error {
	if c.preCreate == nil {
		return c.ContainerBase.PreCreate(ctx, config)
	}
	return c.preCreate(ctx, config)
}

func (c *container) PreStart(ctx context.Context, started interface{}) ([]int, [][]string, error) {
	if c.preStart == nil {
		return c.ContainerBase.PreStart(ctx, started)
	}
	return c.preStart(ctx, started)
}

func (c *container) PreCreateEndpoint(ctx context.Context, id string, env []string, e *networktypes.Endpoint) error {
	if c.preCreateEndpoint == nil {
		return c.ContainerBase.PreCreateEndpoint(ctx, id, env, e)
	}
	return c.preCreateEndpoint(ctx, id, env, e)
}

func (c *container) PreUpdate(ctx context.Context, body io.ReadCloser) (io.ReadCloser, error) {
	if c.preUpdate == nil {
		return c.ContainerBase.PreUpdate(ctx, body)
	}
	return c.preUpdate(ctx, body)
}

func (c *container) PostUpdate(ctx context.Context, rootfs string, env []string) error {
	if c.postUpdate == nil {
		return c.ContainerBase.PostUpdate(ctx, rootfs, env)
	}
	return c.postUpdate(ctx, rootfs, env)
}

// maxBody is the most that is read of a body that a hook returns, in bytes:
// far more than a configuration needs.
const maxBody = 4 << 20

// throughBody calls a PreCreate of the first releases, which changed the body
// of the request. It gets the configuration as such a body, with the changes
// of the plugins before it. On an error config is as it was.
func throughBody(config *types.ContainerCreateConfig, hook func(io.ReadCloser) (io.ReadCloser, error)) error {
	before, err := json.Marshal(config)
	if err != nil {
		return err
	}
	body, err := hook(io.NopCloser(bytes.NewReader(before)))
	if err != nil {
		return err
	}
	if body == nil {
		return errors.New("PreCreate returned neither a body nor an error")
	}
	defer body.Close()
	after, err := io.ReadAll(io.LimitReader(body, maxBody+1))
	switch {
	case err != nil:
		return fmt.Errorf("cannot read the body that PreCreate returned: %w", err)
	case len(after) > maxBody:
		return fmt.Errorf("the body that PreCreate returned has more than %d bytes", maxBody)
	case bytes.Equal(after, before):
		return nil
	}
	var changed types.ContainerCreateConfig
	if err := json.Unmarshal(after, &changed); err != nil {
		return fmt.Errorf("cannot decode the body that PreCreate returned: %w", err)
	}
	if changed.HostConfig == nil {
		changed.HostConfig = &types.HostConfig{}
	}
	if changed.NetworkingConfig == nil {
		changed.NetworkingConfig = &types.NetworkingConfig{}
	}
	*config = changed
	return nil
}
