// Package podpolicy changes and refuses the containers of pods by rules: it
// adds environment, labels and limits, and asks CEL expressions what must not
// run. It acts before anything of the container exists, on what kubelet asks
// for.
package podpolicy

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/api/types/container"

	"github.com/pouchfx/pouchfx/plugins"
	"github.com/pouchfx/pouchfx/plugins/when"
	"github.com/pouchfx/pouchfx/types"
)

// Module makes the plugin part of a daemon that configures it. Its priority
// puts it behind the others, so that it judges what they made.
var Module = plugins.Provide("podpolicy", New, plugins.WhenConfigured(), plugins.Defaults(Config{}), plugins.Priority(-100))

// Config is the section plugins.podpolicy of the configuration file.
type Config struct {
	// Rules are applied in their order. First all of them add, then all of
	// them judge.
	Rules []Rule `yaml:"rules"`
}

// Rule is what is done to the containers that it is for.
type Rule struct {
	// Name is what refusals call the rule; empty means its place, rules[0].
	Name string `yaml:"name"`
	// When says which containers it is for: by their name and image, and by the
	// pod's namespace and labels.
	When *when.When `yaml:"when"`
	// Env and Labels are added.
	Env    map[string]string `yaml:"env"`
	Labels map[string]string `yaml:"labels"`
	// Limits are set.
	Limits Limits `yaml:"limits"`
	// Override lets the rule replace what the container has already; without it
	// what the pod asks for stays.
	Override bool `yaml:"override"`
	// Refuse are the conditions under which the container is not made.
	Refuse []Refusal `yaml:"refuse"`
}

// Refusal is one condition under which a container is not made.
type Refusal struct {
	// If is the condition. Where it cannot be evaluated it counts as true.
	If *Expression `yaml:"if"`
	// Message is what the client is told; empty means the condition.
	Message string `yaml:"message"`
}

// Validate reports a rule that cannot be kept.
func (r Rule) Validate() error {
	for name := range r.Env {
		if name == "" || strings.ContainsAny(name, "=\x00") {
			return fmt.Errorf("env %q: the name of a variable is not empty and has no =", name)
		}
	}
	for name := range r.Labels {
		if name == "" || strings.HasPrefix(name, "io.kubernetes.") {
			return fmt.Errorf("label %q: %w", name, errReserved)
		}
	}
	return nil
}

// Validate reports a refusal without a condition.
func (r Refusal) Validate() error {
	if r.If == nil {
		return errors.New("the key if is missing: give a CEL expression, such as container.privileged")
	}
	return nil
}

// Plugin applies the rules.
type Plugin struct{ rules []rule }

// rule is a Rule made ready.
type rule struct {
	Rule
	env, labels []string // the sorted names, for one order at every time
	ulimits     []*container.Ulimit
}

// New returns the plugin.
func New(c Config) (*Plugin, error) {
	p := &Plugin{rules: make([]rule, len(c.Rules))}
	for i, r := range c.Rules {
		if r.Name == "" {
			r.Name = fmt.Sprintf("rules[%d]", i)
		}
		ulimits, err := r.Limits.ulimits()
		if err != nil {
			return nil, fmt.Errorf("rule %q: %w", r.Name, err)
		}
		p.rules[i] = rule{r, slices.Sorted(maps.Keys(r.Env)), slices.Sorted(maps.Keys(r.Labels)), ulimits}
	}
	return p, nil
}

// PreCreateContainer applies the rules to a container that kubelet asks for.
func (p *Plugin) PreCreateContainer(ctx context.Context, c *types.ContainerCreateConfig, sandbox interface{}) error {
	pod, ok := sandbox.(*types.SandboxMeta)
	if !ok || pod == nil {
		return fmt.Errorf("got a %T, want a *types.SandboxMeta", sandbox)
	}
	about := when.Object{Name: plugins.RequestFrom(ctx).Name, Image: c.Image, Namespace: pod.Namespace, Labels: pod.Labels}
	var judging []*rule
	for i := range p.rules {
		r := &p.rules[i]
		if !r.When.Matches(about) {
			continue
		}
		r.add(c)
		if len(r.Refuse) > 0 {
			judging = append(judging, r)
		}
	}
	if judging == nil {
		return nil
	}
	s := &subject{object{"container", &named{about.Name, c}}, object{"pod", pod}}
	for _, r := range judging {
		if err := r.judge(s); err != nil {
			return err
		}
	}
	return nil
}

// add gives the container what the rule has for it.
func (r *rule) add(c *types.ContainerCreateConfig) {
	for _, name := range r.env {
		at := slices.IndexFunc(c.Env, func(e string) bool { return variable(e) == name })
		switch entry := name + "=" + r.Env[name]; {
		case at < 0:
			c.Env = append(c.Env, entry)
		case r.Override:
			c.Env[at] = entry
		}
	}
	for _, name := range r.labels {
		if _, has := c.Labels[name]; has && !r.Override {
			continue
		}
		if c.Labels == nil {
			c.Labels = make(map[string]string, len(r.labels))
		}
		c.Labels[name] = r.Rule.Labels[name]
	}
	r.Limits.apply(&c.HostConfig.Resources, r.ulimits, r.Override)
}

func variable(entry string) string {
	name, _, _ := strings.Cut(entry, "=")
	return name
}

// judge refuses what one of the conditions holds for, and what they cannot be
// asked about.
func (r *rule) judge(s *subject) error {
	for _, refusal := range r.Refuse {
		switch holds, err := refusal.If.holds(s); {
		case err != nil:
			return denied("rule %q refuses what it cannot judge: %s: %v", r.Name, refusal.If.text, err)
		case holds && refusal.Message == "":
			return denied("rule %q forbids it: %s", r.Name, refusal.If.text)
		case holds:
			return denied("rule %q forbids it: %s", r.Name, refusal.Message)
		}
	}
	return nil
}

func denied(format string, args ...any) error {
	return errdefs.ErrPermissionDenied.WithMessage(fmt.Sprintf(format, args...))
}
