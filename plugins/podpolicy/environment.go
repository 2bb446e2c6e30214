package podpolicy

import (
	"fmt"
	"reflect"
	"strings"
	"sync"

	"cel.dev/cel-go/cel"
	celtypes "cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/mount"

	"github.com/pouchfx/pouchfx/types"
)

// named is a container to be made with its name, which its configuration does
// not hold.
type named struct {
	name string
	*types.ContainerCreateConfig
}

// objects are the types that expressions know beside CEL's own: what their
// fields are called, what they hold, and how a value is taken from what a hook
// got. Only what an expression asks for is taken.
func objects() map[string]map[string]field {
	texts, pairs := cel.ListType(cel.StringType), cel.MapType(cel.StringType, cel.StringType)
	return map[string]map[string]field{
		"container": {
			"name":           of(cel.StringType, func(c *named) any { return c.name }),
			"image":          of(cel.StringType, func(c *named) any { return c.Image }),
			"command":        of(texts, func(c *named) any { return []string(c.Entrypoint) }),
			"args":           of(texts, func(c *named) any { return []string(c.Cmd) }),
			"env":            of(pairs, func(c *named) any { return variables(c.Env) }),
			"labels":         of(pairs, func(c *named) any { return c.Labels }),
			"annotations":    of(pairs, func(c *named) any { return c.SpecAnnotation }),
			"user":           of(cel.StringType, func(c *named) any { return c.User }),
			"groups":         of(texts, func(c *named) any { return c.HostConfig.GroupAdd }),
			"tty":            of(cel.BoolType, func(c *named) any { return c.Tty }),
			"privileged":     of(cel.BoolType, func(c *named) any { return c.HostConfig.Privileged }),
			"readonlyRootfs": of(cel.BoolType, func(c *named) any { return c.HostConfig.ReadonlyRootfs }),
			"capAdd":         of(texts, func(c *named) any { return c.HostConfig.CapAdd }),
			"capDrop":        of(texts, func(c *named) any { return c.HostConfig.CapDrop }),
			"securityOpt":    of(texts, func(c *named) any { return c.HostConfig.SecurityOpt }),
			"sysctls":        of(pairs, func(c *named) any { return c.HostConfig.Sysctls }),
			"hostNetwork":    of(cel.BoolType, func(c *named) any { return c.HostConfig.NetworkMode.IsHost() }),
			"hostPid":        of(cel.BoolType, func(c *named) any { return c.HostConfig.PidMode.IsHost() }),
			"hostIpc":        of(cel.BoolType, func(c *named) any { return c.HostConfig.IpcMode.IsHost() }),
			"memory":         of(cel.IntType, func(c *named) any { return c.HostConfig.Memory }),
			"cpus":           of(cel.DoubleType, func(c *named) any { return cpusOf(&c.HostConfig.Resources) }),
			"cpuShares":      of(cel.IntType, func(c *named) any { return c.HostConfig.CPUShares }),
			"pids":           of(cel.IntType, func(c *named) any { return pidsOf(&c.HostConfig.Resources) }),
			"oomScoreAdjust": of(cel.IntType, func(c *named) any { return c.HostConfig.OomScoreAdj }),
			"mounts":         of(cel.ListType(cel.ObjectType("mount")), func(c *named) any { return list("mount", c.HostConfig.Mounts) }),
			"devices":        of(cel.ListType(cel.ObjectType("device")), func(c *named) any { return list("device", c.HostConfig.Devices) }),
		},
		"mount": {
			"type":        of(cel.StringType, func(m *mount.Mount) any { return string(m.Type) }),
			"source":      of(cel.StringType, func(m *mount.Mount) any { return m.Source }),
			"target":      of(cel.StringType, func(m *mount.Mount) any { return m.Target }),
			"readonly":    of(cel.BoolType, func(m *mount.Mount) any { return m.ReadOnly }),
			"propagation": of(cel.StringType, func(m *mount.Mount) any { return propagation(m) }),
		},
		"device": {
			"source":      of(cel.StringType, func(d *container.DeviceMapping) any { return d.PathOnHost }),
			"target":      of(cel.StringType, func(d *container.DeviceMapping) any { return d.PathInContainer }),
			"permissions": of(cel.StringType, func(d *container.DeviceMapping) any { return d.CgroupPermissions }),
		},
		"pod": {
			"name":         of(cel.StringType, func(p *types.SandboxMeta) any { return p.Name }),
			"namespace":    of(cel.StringType, func(p *types.SandboxMeta) any { return p.Namespace }),
			"uid":          of(cel.StringType, func(p *types.SandboxMeta) any { return p.UID }),
			"hostname":     of(cel.StringType, func(p *types.SandboxMeta) any { return p.Hostname }),
			"runtime":      of(cel.StringType, func(p *types.SandboxMeta) any { return p.Runtime }),
			"cgroupParent": of(cel.StringType, func(p *types.SandboxMeta) any { return p.CgroupParent }),
			"labels":       of(pairs, func(p *types.SandboxMeta) any { return p.Labels }),
			"annotations":  of(pairs, func(p *types.SandboxMeta) any { return p.Annotations }),
		},
	}
}

// field is one field of an object.
type field struct {
	typ *cel.Type
	get ref.FieldGetter
}

func of[T any](typ *cel.Type, get func(T) any) field {
	return field{typ, func(target any) (any, error) {
		v, ok := target.(T)
		if !ok {
			return nil, fmt.Errorf("got a %T, want a %T", target, v)
		}
		return get(v), nil
	}}
}

// variables makes a map of an environment; the last of a name counts, as in
// the process.
func variables(env []string) map[string]string {
	m := make(map[string]string, len(env))
	for _, e := range env {
		name, value, _ := strings.Cut(e, "=")
		m[name] = value
	}
	return m
}

func propagation(m *mount.Mount) string {
	if m.BindOptions == nil {
		return ""
	}
	return string(m.BindOptions.Propagation)
}

// object is a value of one of the objects' types for CEL.
type object struct {
	typ   string
	value any
}

func (o object) ConvertToNative(t reflect.Type) (any, error) {
	return nil, fmt.Errorf("a %s cannot be converted to %v", o.typ, t)
}

func (o object) ConvertToType(t ref.Type) ref.Val {
	return celtypes.NewErr("a %s cannot be converted to %s", o.typ, t.TypeName())
}

func (o object) Equal(other ref.Val) ref.Val {
	another, ok := other.(object)
	return celtypes.Bool(ok && another.value == o.value) // pointers
}

func (o object) Type() ref.Type { return cel.ObjectType(o.typ) }

func (o object) Value() any { return o.value }

// list makes a list of objects.
func list[T any](typ string, values []T) ref.Val {
	all := make([]ref.Val, len(values))
	for i := range values {
		all[i] = object{typ, &values[i]}
	}
	return celtypes.NewRefValList(celtypes.DefaultTypeAdapter, all)
}

// provider tells CEL about the objects.
type provider struct {
	*celtypes.Registry
	objects map[string]map[string]field
}

func (p provider) FindStructType(name string) (*celtypes.Type, bool) {
	if _, ok := p.objects[name]; ok {
		return celtypes.NewTypeTypeWithParam(cel.ObjectType(name)), true
	}
	return p.Registry.FindStructType(name)
}

func (p provider) FindStructFieldNames(name string) ([]string, bool) {
	fields, ok := p.objects[name]
	if !ok {
		return p.Registry.FindStructFieldNames(name)
	}
	names := make([]string, 0, len(fields))
	for f := range fields {
		names = append(names, f)
	}
	return names, true
}

func (p provider) FindStructFieldType(name, of string) (*celtypes.FieldType, bool) {
	fields, ok := p.objects[name]
	if !ok {
		return p.Registry.FindStructFieldType(name, of)
	}
	f, ok := fields[of]
	if !ok {
		return nil, false
	}
	return &celtypes.FieldType{Type: f.typ, IsSet: func(any) bool { return true }, GetFrom: f.get}, true
}

// environment is what expressions are checked in. Making it takes a while:
// nobody pays who has no expressions.
var environment = sync.OnceValues(func() (*cel.Env, error) {
	registry, err := celtypes.NewRegistry()
	if err != nil {
		return nil, err
	}
	return cel.NewEnv(
		cel.CustomTypeProvider(provider{registry, objects()}),
		cel.CustomTypeAdapter(registry),
		cel.Variable("container", cel.ObjectType("container")),
		cel.Variable("pod", cel.ObjectType("pod")),
	)
})

// subject is what one call is about: the variables of expressions.
type subject struct{ container, pod object }

// ResolveName returns the value of a variable.
func (s *subject) ResolveName(name string) (any, bool) {
	switch name {
	case "container":
		return s.container, true
	case "pod":
		return s.pod, true
	}
	return nil, false
}

// Parent is where else variables are: nowhere.
func (s *subject) Parent() cel.Activation { return nil }
