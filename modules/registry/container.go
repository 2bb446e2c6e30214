package registry

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/containerd/errdefs"

	"github.com/pouchfx/pouchfx/modules/registry/patch"
	"github.com/pouchfx/pouchfx/networktypes"
	"github.com/pouchfx/pouchfx/plugins"
	"github.com/pouchfx/pouchfx/types"
)

// MaxBody bounds the body of an update, before and after each plugin, in bytes.
const MaxBody = 4 << 20

// containers is the chain of KindContainer.
type containers struct {
	*chain[plugins.ContainerPlugin]
}

// NewContainers makes the chain of container plugins.
func NewContainers(r *Roster, provided []*plugins.Registration) (plugins.ContainerPlugin, error) {
	c, err := newChain[plugins.ContainerPlugin](r, plugins.KindContainer, provided)
	return containers{c}, err
}

// PreCreate leaves config as the last plugin left its copy.
func (c containers) PreCreate(ctx context.Context, config *types.ContainerCreateConfig) error {
	after, err := run(ctx, c.chain, hook[plugins.ContainerPlugin, *types.ContainerCreateConfig]{
		name: "PreCreate", document: createDocument, copy: clone[*types.ContainerCreateConfig], describe: compare[*types.ContainerCreateConfig], undo: undoCreate,
		call: func(ctx context.Context, p plugins.ContainerPlugin, config *types.ContainerCreateConfig) (*types.ContainerCreateConfig, error) {
			if err := p.PreCreate(ctx, config); err != nil {
				return nil, err
			}
			return config, complete(ctx, config)
		},
	}, config)
	if err == nil && after != config {
		*config = *after
	}
	return err
}

// createDocument is what PreCreateContainer and PreCreate both write.
const createDocument = "create"

// undoCreate returns what undoes a PreCreate that left config.
func undoCreate(p plugins.ContainerPlugin, config *types.ContainerCreateConfig) func(context.Context) error {
	undoer, ok := p.(plugins.CreateUndoer)
	if !ok {
		return nil
	}
	left := clone(config) // what becomes of config later is none of the plugin's business
	return func(ctx context.Context) error { return undoer.UndoPreCreate(ctx, left) }
}

// start is what PreStart hands from plugin to plugin.
type start struct {
	container  any
	priorities []int
	args       [][]string
}

// PreStart leaves container, which is a *types.Container, as the last plugin
// left its copy, and returns the runtime hooks of all.
func (c containers) PreStart(ctx context.Context, container any) ([]int, [][]string, error) {
	original, ok := container.(*types.Container)
	if !ok || original == nil {
		return nil, nil, fmt.Errorf("PreStart: got a %T, want a *types.Container", container)
	}
	after, err := run(ctx, c.chain, hook[plugins.ContainerPlugin, start]{
		name: "PreStart", document: "start", describe: describeStart,
		copy: func(s start) start {
			s.container = clone(s.container)
			return s
		},
		call: func(ctx context.Context, p plugins.ContainerPlugin, s start) (start, error) {
			priorities, args, err := p.PreStart(ctx, s.container)
			if err != nil {
				return start{}, err
			}
			if now := s.container.(*types.Container); now.Config == nil || now.HostConfig == nil {
				return start{}, errors.New("it set Config or HostConfig to nil: change their fields instead")
			}
			if _, err := RuntimeHooks(priorities, args); err != nil {
				return start{}, err
			}
			s.priorities = slices.Concat(s.priorities, priorities)
			s.args = slices.Concat(s.args, clone(args))
			return s, nil
		},
	}, start{container: original})
	if err != nil {
		return nil, nil, err
	}
	if result := after.container.(*types.Container); result != original {
		*original = *result
	}
	return after.priorities, after.args, nil
}

// describeStart tells what a plugin changed and which runtime hooks it added.
func describeStart(c *Change, before, after start) error {
	had := len(before.args)
	c.RuntimeHooks, _ = RuntimeHooks(after.priorities[had:], after.args[had:]) // which were checked
	return compare(c, before.container.(*types.Container), after.container.(*types.Container))
}

// PreCreateEndpoint leaves endpoint as the last plugin left its copy.
func (c containers) PreCreateEndpoint(ctx context.Context, id string, env []string, endpoint *networktypes.Endpoint) error {
	after, err := run(ctx, c.chain, hook[plugins.ContainerPlugin, *networktypes.Endpoint]{
		name: "PreCreateEndpoint", document: "endpoint", subject: endpoint.Network, copy: clone[*networktypes.Endpoint], describe: compare[*networktypes.Endpoint],
		call: func(ctx context.Context, p plugins.ContainerPlugin, endpoint *networktypes.Endpoint) (*networktypes.Endpoint, error) {
			if err := p.PreCreateEndpoint(ctx, id, slices.Clone(env), endpoint); err != nil {
				return nil, err
			}
			if endpoint.EndpointConfig == nil {
				return nil, errors.New("it set EndpointConfig to nil: change its fields instead")
			}
			return endpoint, nil
		},
	}, endpoint)
	if err == nil && after != endpoint {
		*endpoint = *after
	}
	return err
}

// PreUpdate reads body, closes it, and returns what the last plugin left.
func (c containers) PreUpdate(ctx context.Context, body io.ReadCloser) (io.ReadCloser, error) {
	content, err := readBody(body)
	if err != nil {
		return nil, fmt.Errorf("cannot read the body of the update: %w", err)
	}
	content, err = run(ctx, c.chain, hook[plugins.ContainerPlugin, []byte]{
		name: "PreUpdate", document: "update", copy: slices.Clone[[]byte],
		describe: func(c *Change, before, after []byte) error { return c.differ(patch.JSON(before, after)) },
		call: func(ctx context.Context, p plugins.ContainerPlugin, content []byte) ([]byte, error) {
			own := io.NopCloser(bytes.NewReader(content))
			replaced, err := p.PreUpdate(ctx, own)
			if err != nil {
				return nil, err
			}
			if replaced == nil {
				return nil, errors.New("it returned a nil reader: return the one it got to change nothing")
			}
			return readBody(replaced)
		},
	}, content)
	if err != nil {
		return nil, err
	}
	return io.NopCloser(bytes.NewReader(content)), nil
}

// readBody reads all of a body, which is bounded, and closes it.
func readBody(body io.ReadCloser) (content []byte, err error) {
	if body == nil {
		return nil, errdefs.ErrInvalidArgument.WithMessage("it is nil")
	}
	defer func() { err = errors.Join(err, body.Close()) }()
	content, err = io.ReadAll(io.LimitReader(body, MaxBody+1))
	if len(content) > MaxBody {
		return nil, errdefs.ErrInvalidArgument.WithMessage(fmt.Sprintf("it is larger than %d MiB", MaxBody>>20))
	}
	return content, err
}

// PostUpdate tells each plugin; what one does to its env reaches no other.
func (c containers) PostUpdate(ctx context.Context, rootfs string, env []string) error {
	_, err := run(ctx, c.chain, hook[plugins.ContainerPlugin, []string]{
		name: "PostUpdate", copy: slices.Clone[[]string],
		call: func(ctx context.Context, p plugins.ContainerPlugin, own []string) ([]string, error) {
			return env, p.PostUpdate(ctx, rootfs, own)
		},
	}, env)
	return err
}
