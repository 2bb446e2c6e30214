package config

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"

	"go.yaml.in/yaml/v3"

	"github.com/pouchfx/pouchfx/plugins"
)

var _ plugins.Settings = (*Config)(nil)

// section is what the file says under plugins.<name>.
type section struct {
	source string
	key    *yaml.Node
	node   *yaml.Node
}

// sections reads the value of the key plugins.
func (d *decoder) sections(n *yaml.Node) map[string]*section {
	all := map[string]*section{}
	d.pairs(n, "plugins", func(key, value *yaml.Node) {
		all[key.Value] = &section{source: d.source, key: key, node: value}
	})
	return all
}

// Plugin overlays the named plugin's section onto policy and onto config, a
// pointer to the plugin's configuration that is nil when it takes none. The
// key policy of the section is the policy's:
//
//	plugins:
//	  env-limits:
//	    policy: {priority: 10, timeout: 2s, onError: ignore}
//	    max-memory: 1g
//
// A part of config with the method Validate() error has a say: its error is
// told with the line of that part.
func (c *Config) Plugin(name string, policy *plugins.Policy, config any) error {
	s, ok := c.sections[name]
	if !ok {
		return nil
	}
	d := &decoder{source: s.source}
	path := "plugins." + name
	own := &yaml.Node{Kind: yaml.MappingNode, Line: s.node.Line}
	d.pairs(s.node, path, func(key, value *yaml.Node) {
		switch {
		case key.Value == "policy":
			d.decode(value, path+".policy", reflect.ValueOf(policy).Elem())
		case config == nil:
			d.fail(key, path, "unknown key %q: this plugin takes no configuration but its policy", key.Value)
		default:
			own.Content = append(own.Content, key, value)
		}
	})
	if config != nil {
		d.decode(own, path, reflect.ValueOf(config).Elem())
	}
	return d.err()
}

// Configured reports whether the file has a section for the named plugin.
func (c *Config) Configured(name string) bool { return c.sections[name] != nil }

// UnknownPlugins reports the sections of plugins that are not among names,
// the plugins of this daemon.
func (c *Config) UnknownPlugins(names []string) error {
	var errs []error
	for _, name := range slices.Sorted(maps.Keys(c.sections)) {
		if slices.Contains(names, name) {
			continue
		}
		s := c.sections[name]
		hint := "list the plugins of this daemon with the command plugins"
		if near := nearest(name, names); near != "" {
			hint = fmt.Sprintf("did you mean %q?", near)
		}
		errs = append(errs, fmt.Errorf("%s:%d: plugins: unknown plugin %q: %s", s.source, s.key.Line, name, hint))
	}
	return errors.Join(errs...)
}

// Relation tells where the file puts a plugin before or after another, as
// file:line; empty when it does not.
func (c *Config) Relation(plugin, relation, other string) string {
	s, ok := c.sections[plugin]
	if !ok {
		return ""
	}
	for _, name := range child(child(s.node, "policy"), relation).Content {
		if name.Value == other {
			return fmt.Sprintf("%s:%d", s.source, name.Line)
		}
	}
	return ""
}

// child returns the value of a key; an empty node if there is none.
func child(n *yaml.Node, key string) *yaml.Node {
	if n.Kind == yaml.MappingNode {
		for i := 0; i+1 < len(n.Content); i += 2 {
			if n.Content[i].Value == key {
				return n.Content[i+1]
			}
		}
	}
	return &yaml.Node{}
}

// OnConflict says, for each hook, what becomes of a plugin that writes what
// another one has written; empty means that it is reported.
type OnConflict struct {
	PreCreate          plugins.OnConflict `yaml:"PreCreate"`
	PreStart           plugins.OnConflict `yaml:"PreStart"`
	PreCreateEndpoint  plugins.OnConflict `yaml:"PreCreateEndpoint"`
	PreUpdate          plugins.OnConflict `yaml:"PreUpdate"`
	PreCreateContainer plugins.OnConflict `yaml:"PreCreateContainer"`
	PreVolumeCreate    plugins.OnConflict `yaml:"PreVolumeCreate"`
}

// Conflicts says what becomes of a hook that writes what another plugin wrote.
func (c *Config) Conflicts(hook string) plugins.OnConflict {
	o := &c.OnConflict
	return cmp.Or(map[string]plugins.OnConflict{
		"PreCreate": o.PreCreate, "PreStart": o.PreStart, "PreCreateEndpoint": o.PreCreateEndpoint, "PreUpdate": o.PreUpdate,
		"PreCreateContainer": o.PreCreateContainer, "PreVolumeCreate": o.PreVolumeCreate,
	}[hook], plugins.Warn)
}
