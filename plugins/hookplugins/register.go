package hookplugins

import (
	"fmt"
	"reflect"

	"github.com/pouchfx/pouchfx/plugins"
)

// RegisterAPIPlugin registers p, which API must accept, from an init function.
// It panics when API does not: the program cannot be right then, and nothing
// has started yet. The plugin is named after the type of p, "pkg.Type".
func RegisterAPIPlugin(p any) { plugins.RegisterAPIPlugin(must(API(p))) }

// RegisterContainerPlugin does with Container what RegisterAPIPlugin does with API.
func RegisterContainerPlugin(p any) { plugins.RegisterContainerPlugin(must(Container(p))) }

// RegisterCriPlugin does with Cri what RegisterAPIPlugin does with API.
func RegisterCriPlugin(p any) { plugins.RegisterCriPlugin(must(Cri(p))) }

// RegisterVolumePlugin does with Volume what RegisterAPIPlugin does with API.
func RegisterVolumePlugin(p any) { plugins.RegisterVolumePlugin(must(Volume(p))) }

// RegisterDaemonPlugin registers p, whose hooks have always been the same.
func RegisterDaemonPlugin(p plugins.DaemonPlugin) { plugins.RegisterDaemonPlugin(p) }

// RegisterImagePlugin registers p, whose hook has always been the same.
func RegisterImagePlugin(p plugins.ImagePlugin) { plugins.RegisterImagePlugin(p) }

func must[T any](plugin T, err error) T {
	if err != nil {
		panic("hookplugins: " + err.Error())
	}
	return plugin
}

// adapted is a plugin in another's clothes. Package plugins names it after the
// plugin underneath.
type adapted struct{ plugin any }

// Adapted returns the plugin as it was registered.
func (a adapted) Adapted() any { return a.plugin }

// odd returns the error for a hook whose signature no release had; nil when p
// has no method of that name.
func odd(p any, hook, wanted string) error {
	if p == nil {
		return fmt.Errorf("there is no plugin: it is nil")
	}
	m := reflect.ValueOf(p).MethodByName(hook)
	if !m.IsValid() {
		return nil
	}
	return fmt.Errorf("%T.%s is a %s: it must be a %s, with or without a context.Context before its arguments", p, hook, m.Type(), wanted)
}

// none is the error for a plugin without a single hook of its kind.
func none(p any, hooks string) error {
	return fmt.Errorf("%T has no %s with the receiver it is registered with", p, hooks)
}
