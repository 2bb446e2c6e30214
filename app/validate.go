package app

import (
	"errors"
	"fmt"
	"io"
	"log"
	"path"
	"slices"
	"strings"

	"go.uber.org/dig"
	"go.uber.org/fx"

	"github.com/pouchfx/pouchfx/modules/daemonhooks"
	"github.com/pouchfx/pouchfx/modules/registry"
	"github.com/pouchfx/pouchfx/plugins"
)

// silent keeps fx from writing to standard error. fx.NopLogger is not silent
// when there is a cycle: then fx cannot construct it.
var silent = fx.Logger(log.New(io.Discard, "", 0)) //nolint:staticcheck // see above

// validate reports what the target lacks with the given plugins. It runs no
// constructor.
func (t Target) validate(env environment, list ...*plugins.Provided) error {
	return fx.ValidateApp(
		silent,
		env.base(list),
		t.engine(),
		t.invoke(env.config),
		fx.Invoke(func(*registry.Registry) {}), // which needs the plugins of all kinds
	)
}

// explain replaces an error of assembling the daemon by its cause. One of the
// structure names the plugin to blame, where there is one: fx knows plugins by
// a name of package reflect only.
func (t Target) explain(env environment, err error) error {
	if !structural(err) {
		return dig.RootCause(err)
	}
	if own := t.validate(env); own != nil {
		return readable(own, "")
	}
	var blamed []error
	for _, p := range t.Plugins {
		if own := t.validate(env, p); own != nil {
			blamed = append(blamed, fmt.Errorf("plugin %q (%s): %w", p.Name, p.Origin, readable(own, p.Name)))
		}
	}
	if blamed != nil {
		return errors.Join(blamed...)
	}
	return readable(err, "")
}

// checkDaemonPlugins reports a daemon plugin that needs something of the
// engine, itself or by way of a plugin of another kind: its hooks are called
// before the engine starts, so that what it got would have to start too early.
func (t Target) checkDaemonPlugins(env environment) error {
	daemons := t.daemonPlugins()
	early := func(list []*plugins.Provided) error {
		return fx.ValidateApp(silent, env.base(list), fx.Invoke(func(daemonhooks.Started) {}))
	}
	if len(daemons) == 0 || early(t.Plugins) == nil {
		return nil
	}
	with := func(daemon *plugins.Provided) []*plugins.Provided {
		return slices.DeleteFunc(slices.Clone(t.Plugins), func(p *plugins.Provided) bool {
			return p != daemon && slices.Contains(daemons, p)
		})
	}
	if early(with(nil)) != nil {
		return nil // for another reason, which assembling the daemon will tell
	}
	var blamed []error
	for _, p := range daemons {
		if err := early(with(p)); err != nil {
			blamed = append(blamed, fmt.Errorf("plugin %q (%s) is called before the engine starts and cannot have what the engine provides: %w",
				p.Name, p.Origin, readable(err, p.Name)))
		}
	}
	return errors.Join(blamed...)
}

// structural reports whether fx cannot assemble the daemon, as opposed to a
// constructor that failed.
func structural(err error) bool {
	_, is := dig.RootCause(err).(dig.Error)
	return is
}

var provider = pattern(`provided by "([^"]+)"\.(\S+)`)

// readable returns the cause of an error of fx; a cycle as the functions on
// it, and plugin in the place of a plugin's provider.
func readable(err error, plugin string) error {
	cause := dig.RootCause(err)
	if !dig.IsCycleDetected(cause) {
		return cause
	}
	var steps []string
	for _, m := range provider().FindAllStringSubmatch(cause.Error(), -1) {
		step := path.Base(m[1]) + "." + m[2]
		if step == pluginProvider && plugin != "" {
			step = "plugin " + plugin
		}
		steps = append(steps, step)
	}
	return fmt.Errorf("dependency cycle: %s", strings.Join(steps, " needs "))
}
