package mapping

import (
	"maps"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/moby/moby/api/types/container"
	specs "github.com/opencontainers/runtime-spec/specs-go"
	runtime "k8s.io/cri-api/pkg/apis/runtime/v1"

	"github.com/pouchfx/pouchfx/modules/containers/ocispec"
	"github.com/pouchfx/pouchfx/modules/registry"
	"github.com/pouchfx/pouchfx/plugins"
	"github.com/pouchfx/pouchfx/types"
)

// Container is what PreStart hooks get of a container that is about to start:
// r is the request it was made from, as far as that is known, s its
// specification, and baseFS the path at which its root filesystem will be.
// Env, Mounts and Annotations are those of the specification, and so is the
// command where the request leaves it to the image; of its mounts all binds, and each tmpfs but those that every container has.
func Container(id string, r *runtime.CreateContainerRequest, s *specs.Spec, baseFS string) *types.Container {
	c := Config(r)
	c.Env = slices.Clone(env(s))
	if s.Process != nil && len(c.Entrypoint)+len(c.Cmd) == 0 {
		c.Cmd = slices.Clone(s.Process.Args) // the image's
	}
	points, _ := mountPoints(s)
	annotations := maps.Clone(s.Annotations)
	if annotations == nil {
		annotations = map[string]string{}
	}
	return &types.Container{
		ID: id, Name: r.GetConfig().GetMetadata().GetName(), Image: c.Image, Config: &c.ContainerConfig, HostConfig: c.HostConfig,
		Mounts: points, Annotations: annotations, NetworkSettings: &container.NetworkSettings{}, BaseFS: baseFS,
	}
}

// EditStart brings what PreStart hooks left of Container, Env, Mounts and
// Annotations, into the specification it was made from, and lets the runtime
// hooks run. They come behind those that the specification has, unless it has
// them already. A pod has its network whatever their priority is. The error is
// an errdefs.ErrInvalidArgument; s is then not to be used.
func EditStart(s *specs.Spec, after *types.Container, hooks []registry.RuntimeHook) error {
	if after := after.Config.Env; !same(env(s), after) {
		for _, e := range after {
			if name, _, _ := strings.Cut(e, "="); name == "" || strings.ContainsRune(e, 0) {
				return invalid("invalid environment variable: %q", name+"=")
			}
		}
		own(&s.Process).Env = ocispec.MergeEnv(nil, after)
	}
	err := differingKeys(s.Annotations, after.Annotations, func(key string, value *string) {
		if value == nil {
			delete(s.Annotations, key)
		} else {
			put(&s.Annotations, key, *value)
		}
	})
	if err != nil {
		return invalid("Annotations: %v", err)
	}
	if err := editMounts(s, after.Mounts); err != nil {
		return err
	}
	addHooks(s, hooks)
	return nil
}

func env(s *specs.Spec) []string {
	if s.Process == nil {
		return nil
	}
	return s.Process.Env
}

// hookTimeout bounds one runtime hook, in seconds.
const hookTimeout = int(plugins.RuntimeHookLimit / time.Second)

func addHooks(s *specs.Spec, hooks []registry.RuntimeHook) {
	if len(hooks) == 0 {
		return
	}
	list := own(&s.Hooks).CreateRuntime
	for _, h := range hooks {
		// Without an environment of its own a hook would get the daemon's.
		hook := specs.Hook{Path: h.Path, Args: h.Args, Env: []string{"PATH=" + ocispec.DefaultPath}, Timeout: new(hookTimeout)}
		if !slices.ContainsFunc(s.Hooks.CreateRuntime, func(have specs.Hook) bool { return reflect.DeepEqual(have, hook) }) {
			list = append(list, hook)
		}
	}
	s.Hooks.CreateRuntime = list
}
