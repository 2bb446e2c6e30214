// Package ocihooks runs programs of the host before a container's process does,
// with the container's namespaces there: the runtime hooks of its configuration,
// and those of hooks.d directories, as Podman and CRI-O read them.
//
// The directories are looked at with each start, so that a hook that a package
// of the host brings counts from then on; files are read again only when they
// changed. This binary runs the programs (plugins.HookProgram), for their
// environment and time limit, and to name the one that fails.
package ocihooks

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/moby/moby/api/types/mount"

	"github.com/pouchfx/pouchfx/plugins"
	"github.com/pouchfx/pouchfx/plugins/when"
	"github.com/pouchfx/pouchfx/types"
)

// Module makes the plugin part of a daemon that configures it.
var Module = plugins.Provide("ocihooks", New, plugins.WhenConfigured(), plugins.Checked(Check),
	plugins.Defaults(Config{Directories: []string{"/usr/share/containers/oci/hooks.d", "/etc/containers/oci/hooks.d"}}))

// Config is the section plugins.ocihooks of the configuration file.
type Config struct {
	// Hooks are those of this file. All that match run.
	Hooks []Hook `yaml:"hooks"`
	// Directories hold those of others, NAME.json. A name in a later one
	// replaces that of an earlier one. A directory may be missing.
	Directories []string `yaml:"directories"`
	// Priority is that of the hooks of directories: above 0 they run before
	// the network is there.
	Priority int `yaml:"priority"`
	// IgnoreStages are stages of files that need not be kept.
	IgnoreStages []string `yaml:"ignore-stages"`
}

// Hook is a program with what it is for.
type Hook struct {
	// When says for which containers.
	When *when.When `yaml:"when"`
	// Path is the absolute path of the program.
	Path string `yaml:"path"`
	// Args is its argv, with argv[0]; empty means the path alone.
	Args []string `yaml:"args"`
	// Env is its environment, NAME=value.
	Env []string `yaml:"env"`
	// Timeout bounds it; 0 means plugins.RuntimeHookLimit.
	Timeout time.Duration `yaml:"timeout"`
	// Priority orders hooks, the bigger first: above 0 they run before the
	// network is there.
	Priority int `yaml:"priority"`
}

// Validate reports directories and stages that cannot be.
func (c Config) Validate() error {
	for _, dir := range c.Directories {
		if !filepath.IsAbs(dir) {
			return fmt.Errorf("directory %q: must be an absolute path", dir)
		}
	}
	for _, stage := range c.IgnoreStages {
		if !slices.Contains(others, stage) {
			return fmt.Errorf("ignore-stages %q: use %s", stage, strings.Join(others, ", "))
		}
	}
	return nil
}

// Validate reports a hook that cannot run.
func (h Hook) Validate() error { return h.program(0).Validate() }

func (h Hook) program(i int) plugins.HookProgram {
	return plugins.HookProgram{Name: fmt.Sprintf("plugins.ocihooks.hooks[%d]", i), Path: h.Path, Args: h.Args, Env: h.Env, Timeout: h.Timeout}
}

// Check reports what the configuration does not show: files of directories
// that cannot be followed, and programs that are not there.
func Check(c Config) error {
	files, err := newDirectories(c).read()
	if err != nil {
		return err
	}
	for i, h := range c.Hooks {
		if err := runnable(h.Path); err != nil {
			return fmt.Errorf("%s: %w", h.program(i).Name, err)
		}
	}
	for _, f := range files {
		if err := runnable(f.program.Path); err != nil {
			return fmt.Errorf("%s: %w", f.path, err)
		}
	}
	return nil
}

// Plugin asks for runtime hooks. The hooks that it does not need are those of
// the base.
type Plugin struct {
	plugins.ContainerBase
	config      Config
	directories *directories
}

// New returns the plugin.
func New(c Config) (*Plugin, error) { return &Plugin{config: c, directories: newDirectories(c)}, nil }

// PreStart returns the hooks that match, in their order: those of the
// configuration, then those of directories.
func (p *Plugin) PreStart(ctx context.Context, container interface{}) (priorities []int, args [][]string, err error) {
	c := container.(*types.Container)
	files, err := p.directories.read()
	if err != nil {
		return nil, nil, err
	}
	add := func(program plugins.HookProgram, priority int) error {
		if err := runnable(program.Path); err != nil {
			return fmt.Errorf("%s: %w", program.Name, err)
		}
		argv, err := program.PreStartArgs()
		priorities, args = append(priorities, priority), append(args, argv)
		return err
	}
	object := when.Asked(ctx)
	object.Name, object.Image, object.Labels = c.Name, c.Image, c.Config.Labels
	for i, h := range p.config.Hooks {
		if !h.When.Matches(object) {
			continue
		}
		if err := add(h.program(i), h.Priority); err != nil {
			return nil, nil, err
		}
	}
	seen := start{annotations: c.Annotations, command: command(c.Config), bindMounts: slices.ContainsFunc(c.Mounts, isBind)}
	for _, f := range files {
		if !f.when.matches(&seen) {
			continue
		}
		if err := add(f.program, p.config.Priority); err != nil {
			return nil, nil, err
		}
	}
	return priorities, args, nil
}

// command is the first word of what a container runs.
func command(c *types.ContainerConfig) string {
	for _, words := range [][]string{c.Entrypoint, c.Cmd} {
		if len(words) > 0 {
			return words[0]
		}
	}
	return ""
}

func isBind(m types.MountPoint) bool { return m.Type == mount.TypeBind }
