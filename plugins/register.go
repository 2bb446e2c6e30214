package plugins

import (
	"fmt"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"sync"
)

// What the Register functions collected. It is the one global of the project:
// the seed's plugins register from init, where there is nothing else to
// register with.
var registered struct {
	sync.Mutex
	list []*Registration
}

// register adds a plugin under one kind. An instance that is known under
// another kind gets one more; all else is a plugin of its own.
func register(kind Kind, plugin any) {
	registered.Lock()
	defer registered.Unlock()
	name := nameOf(plugin)
	count := 1
	for _, r := range registered.list {
		if same(r.Plugin, plugin) && !r.Is(kind) {
			r.Kinds = append(r.Kinds, kind)
			slices.Sort(r.Kinds)
			return
		}
		if base, _, _ := strings.Cut(r.Name, "#"); base == name {
			count++
		}
	}
	if count > 1 {
		name = fmt.Sprintf("%s#%02d", name, count)
	}
	registered.list = append(registered.list, &Registration{
		Name: name, Kinds: []Kind{kind}, Policy: DefaultPolicy(), Origin: caller(), Plugin: plugin,
	})
}

// latest returns the plugin registered last under a kind.
func latest[T any](kind Kind) T {
	registered.Lock()
	defer registered.Unlock()
	var plugin T
	for _, r := range registered.list {
		if r.Is(kind) {
			plugin = r.Plugin.(T)
		}
	}
	return plugin
}

// Registered returns the plugins that the Register functions collected, with
// their default policies, in the order of registering. The registry adds them
// to the chains.
func Registered() []Registration {
	registered.Lock()
	defer registered.Unlock()
	list := make([]Registration, len(registered.list))
	for i, r := range registered.list {
		list[i] = *r
		list[i].Kinds = slices.Clone(r.Kinds)
	}
	return list
}

// RegisterAPIPlugin registers p from an init function. Registering twice
// keeps both. The name, and that of the section of the configuration file, is
// made from p's type: "pkg.Type".
func RegisterAPIPlugin(p APIPlugin) { register(KindAPI, p) }

// RegisterContainerPlugin does for containers what RegisterAPIPlugin does for routes.
func RegisterContainerPlugin(p ContainerPlugin) { register(KindContainer, p) }

// RegisterCriPlugin does for CRI what RegisterAPIPlugin does for routes.
func RegisterCriPlugin(p CriPlugin) { register(KindCri, p) }

// RegisterDaemonPlugin does for the daemon what RegisterAPIPlugin does for routes.
func RegisterDaemonPlugin(p DaemonPlugin) { register(KindDaemon, p) }

// RegisterImagePlugin does for images what RegisterAPIPlugin does for routes.
func RegisterImagePlugin(p ImagePlugin) { register(KindImage, p) }

// RegisterVolumePlugin does for volumes what RegisterAPIPlugin does for routes.
func RegisterVolumePlugin(p VolumePlugin) { register(KindVolume, p) }

// GetAPIPlugin returns the plugin registered last with RegisterAPIPlugin, or
// nil. The daemon does not use it: it asks for the chain of all plugins.
func GetAPIPlugin() APIPlugin { return latest[APIPlugin](KindAPI) }

// GetContainerPlugin does for RegisterContainerPlugin what GetAPIPlugin does for RegisterAPIPlugin.
func GetContainerPlugin() ContainerPlugin { return latest[ContainerPlugin](KindContainer) }

// GetCriPlugin does for RegisterCriPlugin what GetAPIPlugin does for RegisterAPIPlugin.
func GetCriPlugin() CriPlugin { return latest[CriPlugin](KindCri) }

// GetDaemonPlugin does for RegisterDaemonPlugin what GetAPIPlugin does for RegisterAPIPlugin.
func GetDaemonPlugin() DaemonPlugin { return latest[DaemonPlugin](KindDaemon) }

// GetImagePlugin does for RegisterImagePlugin what GetAPIPlugin does for RegisterAPIPlugin.
func GetImagePlugin() ImagePlugin { return latest[ImagePlugin](KindImage) }

// GetVolumePlugin does for RegisterVolumePlugin what GetAPIPlugin does for RegisterAPIPlugin.
func GetVolumePlugin() VolumePlugin { return latest[VolumePlugin](KindVolume) }

// nameOf names a plugin after its type; one in an adapter, as package
// hookplugins has them, after the type inside.
func nameOf(plugin any) string {
	if a, ok := plugin.(interface{ Adapted() any }); ok {
		plugin = a.Adapted()
	}
	return strings.TrimLeft(reflect.TypeOf(plugin).String(), "*")
}

func same(a, b any) bool {
	return reflect.TypeOf(a) == reflect.TypeOf(b) && reflect.TypeOf(a).Comparable() && a == b
}

// caller names who called a Register function, of this package or of
// hookplugins.
func caller() string {
	pcs := make([]uintptr, 8)
	frames := runtime.CallersFrames(pcs[:runtime.Callers(4, pcs)])
	for {
		f, more := frames.Next()
		if more && strings.HasPrefix(f.Function, "github.com/pouchfx/pouchfx/plugins/hookplugins.Register") {
			continue
		}
		if f.Function == "" {
			return "unknown"
		}
		return fmt.Sprintf("%s (%s:%d)", f.Function, f.File, f.Line)
	}
}
