package plugintest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync/atomic"

	containerd "github.com/containerd/containerd/v2/client"

	"github.com/pouchfx/pouchfx/modules/registry"
	"github.com/pouchfx/pouchfx/plugins"
	"github.com/pouchfx/pouchfx/types"
)

// call is one call of one hook, which can be tried again and again.
type call struct {
	hook string
	own  bool // with an argument of the author's
	try  func() *try
}

// try is a call with fresh arguments.
type try struct {
	// args are those that are the hook's for the time of the call.
	args []any
	// do calls the hook. An error of the class broken is a promise that was
	// not kept; with any other the hook refuses.
	do func(ctx context.Context) error
	// left is what the hook left, for comparing.
	left func() any
	// ended, if not nil, tells the arguments that the call is over, and misused
	// whether they were used after that.
	ended   func()
	misused func() error
}

// broken is the error of a hook that breaks its contract.
type broken struct{ error }

func (b broken) Unwrap() error { return b.error }

func breaks(format string, args ...any) error { return broken{fmt.Errorf(format, args...)} }

func isBroken(err error) bool {
	var b broken
	return errors.As(err, &b)
}

// calls are those of all hooks of a plugin that take a context and are called
// more than once.
func (k *kit) calls(plugin any) (all []call) {
	if p, ok := plugin.(plugins.ContainerPlugin); ok {
		all = append(all, k.containerCalls(p)...)
	}
	if p, ok := plugin.(plugins.CriPlugin); ok {
		for _, pod := range k.sandboxes {
			for _, a := range k.creates {
				all = append(all, call{"PreCreateContainer", a.own && pod.own, func() *try { return preCreateContainer(p, a.value, pod.value) }})
			}
		}
	}
	if p, ok := plugin.(plugins.ImagePlugin); ok {
		for _, a := range k.images {
			all = append(all, call{"PostPull", a.own, func() *try { return postPull(p, a.value) }})
		}
	}
	if p, ok := plugin.(plugins.VolumePlugin); ok {
		for _, a := range k.volumes {
			all = append(all, call{"PreVolumeCreate", a.own, func() *try { return preVolumeCreate(p, a.value) }})
		}
	}
	return all
}

func (k *kit) containerCalls(p plugins.ContainerPlugin) (all []call) {
	for _, a := range k.creates {
		all = append(all, call{"PreCreate", a.own, func() *try { return preCreate(p, a.value) }})
	}
	for _, a := range k.starts {
		all = append(all, call{"PreStart", a.own, func() *try { return preStart(p, a.value) }})
	}
	for _, a := range k.endpoints {
		all = append(all, call{"PreCreateEndpoint", a.own, func() *try {
			endpoint, env := fresh(a.value), []string{"PATH=/usr/bin:/bin", "MODE=production"}
			return &try{
				args: []any{endpoint, env}, left: func() any { return endpoint },
				do: func(ctx context.Context) error {
					err := p.PreCreateEndpoint(Context(ctx), endpoint.Owner, env, endpoint)
					if err == nil && endpoint.EndpointConfig == nil {
						return breaks("it set EndpointConfig to nil: change its fields instead")
					}
					return err
				},
			}
		}})
	}
	for _, a := range k.updates {
		all = append(all, call{"PreUpdate", a.own, func() *try { return preUpdate(p, a.value) }})
	}
	for _, env := range [][]string{{"PATH=/usr/bin:/bin", "MODE=production"}, nil} {
		all = append(all, call{"PostUpdate", false, func() *try {
			own := append([]string(nil), env...)
			return &try{
				args: []any{own}, left: func() any { return nil },
				do: func(ctx context.Context) error { return p.PostUpdate(Context(ctx), k.rootfs, own) },
			}
		}})
	}
	return all
}

func preCreate(p plugins.ContainerPlugin, config *types.ContainerCreateConfig) *try {
	config = fresh(config)
	return &try{
		args: []any{config}, left: func() any { return config },
		do: func(ctx context.Context) error { return complete(config, p.PreCreate(Context(ctx), config)) },
	}
}

func preCreateContainer(p plugins.CriPlugin, config *types.ContainerCreateConfig, pod *types.SandboxMeta) *try {
	config, pod = fresh(config), fresh(pod)
	return &try{
		args: []any{config, pod}, left: func() any { return config },
		do: func(ctx context.Context) error {
			return complete(config, p.PreCreateContainer(CRIContext(ctx), config, pod))
		},
	}
}

// complete reports what of a create's configuration a hook took away.
func complete(config *types.ContainerCreateConfig, err error) error {
	switch {
	case err != nil:
		return err
	case config.HostConfig == nil:
		return breaks("it set HostConfig to nil: change its fields instead")
	case config.NetworkingConfig == nil:
		return breaks("it set NetworkingConfig to nil: change its fields instead")
	}
	return nil
}

// started is what a PreStart leaves.
type started struct {
	Container  *types.Container
	Priorities []int
	Args       [][]string
}

func preStart(p plugins.ContainerPlugin, container *types.Container) *try {
	before, s := fresh(container), started{Container: fresh(container)}
	return &try{
		args: []any{s.Container}, left: func() any { return s },
		do: func(ctx context.Context) (err error) {
			c := s.Container
			if s.Priorities, s.Args, err = p.PreStart(Context(ctx), c); err != nil {
				return err
			}
			if c.Config == nil || c.HostConfig == nil {
				return breaks("it set Config or HostConfig to nil: change their fields instead")
			}
			if _, err := registry.RuntimeHooks(s.Priorities, s.Args); err != nil {
				return broken{err}
			}
			after := fresh(c)
			after.Config.Env, after.Mounts, after.Annotations = before.Config.Env, before.Mounts, before.Annotations
			if was, is := text(before), text(after); was != is {
				return breaks("it changed what reaches nobody: only Config.Env, Mounts and Annotations reach the start; change the rest in PreCreate\nbefore: %s\nafter:  %s", was, is)
			}
			return nil
		},
	}
}

func postPull(p plugins.ImagePlugin, image containerd.Image) *try {
	return &try{
		left: func() any { return nil },
		do:   func(ctx context.Context) error { return p.PostPull(Context(ctx), Snapshotter, image) },
	}
}

func preVolumeCreate(p plugins.VolumePlugin, config *types.VolumeCreateConfig) *try {
	config = fresh(config)
	return &try{
		args: []any{config}, left: func() any { return config },
		do: func(ctx context.Context) error { return p.PreVolumeCreate(Context(ctx), config) },
	}
}

func preUpdate(p plugins.ContainerPlugin, content string) *try {
	given := &body{Reader: strings.NewReader(content)}
	var left json.RawMessage
	return &try{
		left: func() any { return left }, ended: given.end, misused: given.misuse,
		do: func(ctx context.Context) error {
			returned, err := p.PreUpdate(Context(ctx), given)
			if err != nil {
				return err
			}
			if returned == nil {
				return breaks("it returned a nil reader: return the one it got to change nothing")
			}
			defer returned.Close()
			if left, err = io.ReadAll(io.LimitReader(returned, registry.MaxBody+1)); err != nil {
				return breaks("the body that it returned cannot be read: %w", err)
			}
			if len(left) > registry.MaxBody {
				return breaks("the body that it returned is larger than %d MiB", registry.MaxBody>>20)
			}
			var update types.UpdateConfig
			if err := json.Unmarshal(left, &update); err != nil {
				return breaks("the body that it returned is no update: %w\n%s", err, left)
			}
			return nil
		},
	}
}

// body is one that must not be read when the hook is over.
type body struct {
	io.Reader
	over, misused atomic.Bool
}

func (b *body) Read(p []byte) (int, error) {
	if b.over.Load() {
		b.misused.Store(true)
		return 0, io.ErrClosedPipe
	}
	return b.Reader.Read(p)
}

func (b *body) Close() error { return nil }

func (b *body) end() { b.over.Store(true) }

func (b *body) misuse() error {
	if b.misused.Load() {
		return breaks("it went on to read the body after it had returned")
	}
	return nil
}

// text is a value as JSON.
func text(v any) string {
	encoded, err := json.Marshal(v)
	if err != nil {
		return err.Error()
	}
	return string(encoded)
}
