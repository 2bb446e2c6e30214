// Package volumedefaults gives volumes driver options and labels, and refuses
// names, by rules.
package volumedefaults

import (
	"cmp"
	"context"
	"errors"
	"fmt"

	"github.com/containerd/errdefs"

	"github.com/pouchfx/pouchfx/plugins"
	"github.com/pouchfx/pouchfx/plugins/when"
	"github.com/pouchfx/pouchfx/types"
)

// Module makes the plugin part of a daemon that configures it.
var Module = plugins.Provide("volumedefaults", New, plugins.WhenConfigured(), plugins.Defaults(Config{}))

// Config is the section plugins.volumedefaults of the configuration file.
type Config struct {
	// Rules are applied in their order. The first that gives an option or a
	// label wins, unless one that overrides comes later.
	Rules []Rule `yaml:"rules"`
}

// Rule is what is done to the volumes that it is for.
type Rule struct {
	// When says which volumes the rule is for, by their name and labels.
	When *when.When `yaml:"when"`
	// Driver is a pattern for the driver.
	Driver *when.Pattern `yaml:"driver"`
	// Options and Labels are added.
	Options map[string]string `yaml:"options"`
	Labels  map[string]string `yaml:"labels"`
	// Override lets the rule replace what the volume has already; without it
	// what the client asked for stays.
	Override bool `yaml:"override"`
	// Refuse is what the client is told, as such a volume is not made.
	Refuse string `yaml:"refuse"`
}

// Validate reports a rule that cannot be kept.
func (r Rule) Validate() error {
	adds := len(r.Options)+len(r.Labels) > 0
	switch {
	case r.When != nil && (r.When.Image != nil || r.When.Namespace != nil):
		return errors.New("when: a volume has no image and no namespace: choose by name, labels and driver")
	case !adds && r.Refuse == "":
		return errors.New("the rule does nothing: give one of options, labels, refuse")
	case adds && r.Refuse != "":
		return errors.New("the rule refuses what it gives something: make two of it")
	}
	for _, all := range []map[string]string{r.Options, r.Labels} {
		if _, empty := all[""]; empty {
			return errors.New("options and labels have a name: one has none")
		}
	}
	return nil
}

// Plugin applies the rules.
type Plugin struct{ rules []Rule }

// New returns the plugin.
func New(c Config) (*Plugin, error) { return &Plugin{c.Rules}, nil }

// PreVolumeCreate applies the rules to a volume. All that are for it are found
// first, so that no rule changes which others are.
func (p *Plugin) PreVolumeCreate(_ context.Context, c *types.VolumeCreateConfig) error {
	about := when.Object{Name: c.Name, Labels: c.Labels}
	driver := cmp.Or(c.Driver, "local")
	var matching []*Rule
	for i := range p.rules {
		r := &p.rules[i]
		if !r.When.Matches(about) || !r.Driver.Matches(driver) {
			continue
		}
		if r.Refuse != "" {
			return errdefs.ErrPermissionDenied.WithMessage(fmt.Sprintf("volume %q: %s", c.Name, r.Refuse))
		}
		matching = append(matching, r)
	}
	for _, r := range matching {
		c.DriverOpts = with(c.DriverOpts, r.Options, r.Override)
		c.Labels = with(c.Labels, r.Labels, r.Override)
	}
	return nil
}

// with adds what is missing, or all.
func with(to, more map[string]string, override bool) map[string]string {
	for key, value := range more {
		if _, has := to[key]; has && !override {
			continue
		}
		if to == nil {
			to = make(map[string]string, len(more))
		}
		to[key] = value
	}
	return to
}
