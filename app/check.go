package app

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"

	"go.uber.org/zap"

	"github.com/pouchfx/pouchfx/modules/config"
	"github.com/pouchfx/pouchfx/modules/lifecycle"
	"github.com/pouchfx/pouchfx/modules/registry"
	"github.com/pouchfx/pouchfx/plugins"
)

// Report is what a target would be, known without running any of it.
type Report struct {
	// Target is its name.
	Target string `json:"target"`
	// Plugins are all of them, in order, with the policies that the
	// configuration leaves them.
	Plugins []registry.Info `json:"plugins"`
}

// Chain returns the plugins of one kind in the order in which they are called.
func (r *Report) Chain(kind plugins.Kind) []registry.Info {
	var chain []registry.Info
	for _, p := range r.Plugins {
		if slices.Contains(p.Kinds, kind) && p.Status != registry.Disabled {
			chain = append(chain, p)
		}
	}
	return chain
}

// Write prints the order of each chain, and the plugins that are left out.
func (r *Report) Write(w io.Writer) error {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintf(table, "target %s: %d plugins\n", r.Target, len(r.Plugins))
	for _, kind := range plugins.Kinds() {
		for i, p := range r.Chain(kind) {
			fmt.Fprintf(table, "%s\t%d.\t%s\tpriority %d\ttimeout %v\ton error %s\t%s\n",
				kind, i+1, p.Name, p.Policy.Priority, p.Policy.Timeout, p.Policy.OnError, requirement(p.Policy))
		}
	}
	for _, p := range r.Plugins {
		if p.Status == registry.Disabled {
			fmt.Fprintf(table, "disabled\t\t%s\n", p.Name)
		}
	}
	return table.Flush()
}

func requirement(p plugins.Policy) string {
	if p.Required {
		return "required"
	}
	return "optional"
}

// String is what Write prints.
func (r *Report) String() string {
	var b strings.Builder
	_ = r.Write(&b)
	return b.String()
}

// Check reports all that is wrong with a target and its configuration, as far
// as it can be known without running a constructor or starting anything: what
// is missing, cycles, plugins of one name, and the plugins' sections of the
// configuration with what these name. The report is complete when there is no
// error.
func Check(t Target, c *config.Config) (*Report, error) {
	report := &Report{Target: t.Name}
	registrations, errs := settled(t, c)
	names := make([]string, 0, len(registrations))
	byName := make(map[string]*plugins.Registration)
	registrations, err := registry.Order(registrations)
	errs = append(errs, misordered(c, registrations, err)...)
	for _, r := range registrations {
		names = append(names, r.Name)
		report.Plugins = append(report.Plugins, registry.Describe(r))
		if first := byName[r.Name]; first != nil {
			errs = append(errs, registry.Duplicate(first, r))
		}
		byName[r.Name] = r
	}
	errs = append(errs, c.UnknownPlugins(names))

	// What cannot be provided at all is reported above.
	t.Plugins = slices.DeleteFunc(slices.Clone(t.Plugins), func(p *plugins.Provided) bool { return p.Err() != nil })
	for _, p := range t.Plugins {
		if _, err := p.Settle(c); err == nil { // else it is told above
			errs = append(errs, p.Check(c))
		}
	}
	env := environment{config: c, log: zap.NewNop(), timeline: lifecycle.NewTimeline(), fatal: func(error) {}}
	if err := t.checkDaemonPlugins(env); err != nil {
		errs = append(errs, err)
	} else if err := t.validate(env, t.Plugins...); err != nil {
		errs = append(errs, t.explain(env, err))
	}
	return report, errors.Join(errs...)
}

// misordered returns what is wrong with the order of plugins, with the lines of
// the configuration file that say so.
func misordered(c *config.Config, all []*plugins.Registration, err error) (errs []error) {
	var cycle *registry.CycleError
	if errors.As(err, &cycle) {
		var lines []string
		for i, name := range cycle.Plugins[1:] {
			before := cycle.Plugins[i]
			lines = append(lines, c.Relation(before, "before", name), c.Relation(name, "after", before))
		}
		lines = slices.DeleteFunc(lines, func(l string) bool { return l == "" })
		if len(lines) > 0 {
			err = fmt.Errorf("%w: see %s", err, strings.Join(lines, ", "))
		}
	}
	errs = append(errs, err)
	for _, u := range registry.Unknown(all) {
		if line := c.Relation(u.Plugin, u.Relation, u.To); line != "" {
			errs = append(errs, fmt.Errorf("%s: %w", line, u))
		} else {
			errs = append(errs, u)
		}
	}
	return errs
}

// settled returns the target's plugins, and those that init functions
// registered, with their effective policies.
func settled(t Target, c *config.Config) (all []*plugins.Registration, errs []error) {
	for _, p := range t.Plugins {
		r := &plugins.Registration{Name: p.Name, Kinds: p.Kinds, Policy: p.Policy, Origin: p.Origin}
		all = append(all, r)
		if err := p.Err(); err != nil {
			errs = append(errs, err)
			continue
		}
		policy, err := p.Settle(c)
		errs = append(errs, err)
		r.Policy = policy
	}
	for _, r := range plugins.Registered() {
		errs = append(errs, registry.Settle(&r, c))
		all = append(all, &r)
	}
	return all, errs
}
