// Package envlimits turns variables and labels by which an older orchestrator
// told its daemon the limits of containers into those limits, by rules.
package envlimits

import (
	"context"

	"github.com/pouchfx/pouchfx/plugins"
	"github.com/pouchfx/pouchfx/plugins/limit"
	"github.com/pouchfx/pouchfx/plugins/when"
	"github.com/pouchfx/pouchfx/types"
)

// Module makes the plugin part of a daemon that configures it.
var Module = plugins.Provide("envlimits", New, plugins.WhenConfigured(), plugins.Defaults(Config{}))

// Config is the section plugins.envlimits of the configuration file.
type Config struct {
	// Rules are applied in their order. The first that sets a field wins,
	// unless one that overrides comes later.
	Rules []Rule `yaml:"rules"`
}

// Rule says what becomes of one variable or label.
type Rule struct {
	// When says which containers the rule is for.
	When *when.When `yaml:"when"`
	// Rule is what is read and set.
	limit.Rule `yaml:",inline"`
}

// Plugin applies the rules. Hooks that it does not need are those of the base.
type Plugin struct {
	plugins.ContainerBase
	rules []Rule
}

// New returns the plugin.
func New(c Config) (*Plugin, error) { return &Plugin{rules: c.Rules}, nil }

// PreCreate applies the rules. All of them see what the client sent.
func (p *Plugin) PreCreate(ctx context.Context, c *types.ContainerCreateConfig) error {
	about := when.Asked(ctx)
	about.Image, about.Labels = c.Image, c.Labels
	var variables, labels []string // to be removed
	for i := range p.rules {
		r := &p.rules[i]
		value, ok := limit.Last(c.Env, r.Env)
		if r.Label != "" {
			value, ok = c.Labels[r.Label]
		}
		if !ok || !r.When.Matches(about) {
			continue
		}
		if value != "" { // empty is how compose files and templates say nothing
			if err := r.Set.Put(c.HostConfig, value, r.Override); err != nil {
				return r.Refuse(value, err)
			}
		}
		switch {
		case r.Remove && r.Label != "":
			labels = append(labels, r.Label)
		case r.Remove:
			variables = append(variables, r.Env)
		}
	}
	c.Env = limit.Without(c.Env, variables)
	for _, key := range labels {
		delete(c.Labels, key)
	}
	return nil
}
