// Package endpoints gives the interfaces of containers MAC addresses, an order,
// name servers and arguments for CNI plugins, by rules.
package endpoints

import (
	"context"
	"crypto/sha256"
	"slices"

	"github.com/moby/moby/api/types/network"

	"github.com/pouchfx/pouchfx/networktypes"
	"github.com/pouchfx/pouchfx/plugins"
	"github.com/pouchfx/pouchfx/plugins/limit"
	"github.com/pouchfx/pouchfx/plugins/when"
)

// Module makes the plugin part of a daemon that configures it.
var Module = plugins.Provide("endpoints", New, plugins.WhenConfigured(), plugins.Defaults(Config{}))

// Plugin applies the rules. Hooks that it does not need are those of the base.
type Plugin struct {
	plugins.ContainerBase
	rules []Rule
}

// New returns the plugin.
func New(c Config) (*Plugin, error) { return &Plugin{rules: c.Rules}, nil }

// PreCreateEndpoint applies the rules to an endpoint before it is made.
func (p *Plugin) PreCreateEndpoint(ctx context.Context, id string, env []string, e *networktypes.Endpoint) error {
	about := when.Asked(ctx)
	for i := range p.rules {
		if r := &p.rules[i]; r.When.Matches(about) && r.matches(e.Network, env) {
			r.apply(id, e)
		}
	}
	return nil
}

// matches asks what the endpoint alone tells.
func (r *Rule) matches(name string, env []string) bool {
	if !r.Network.Matches(name) {
		return false
	}
	for variable, pattern := range r.Env {
		var values []string // which is what only a negated pattern matches
		if value, ok := limit.Last(env, variable); ok {
			values = []string{value}
		}
		if !pattern.Matches(values...) {
			return false
		}
	}
	return true
}

// apply gives the endpoint what it does not have, or all.
func (r *Rule) apply(id string, e *networktypes.Endpoint) {
	if r.MAC != nil && (r.Override || len(e.EndpointConfig.MacAddress) == 0) {
		e.EndpointConfig.MacAddress = r.MAC.of(id, e.Network)
	}
	if r.Priority != nil && (r.Override || e.Priority == 0) {
		e.Priority = *r.Priority
	}
	// The lists are copied: plugins that come after may change theirs.
	if len(r.DNS) > 0 && (r.Override || len(e.DNS) == 0) {
		e.DNS = slices.Clone(r.DNS)
	}
	if len(r.DNSSearch) > 0 && (r.Override || len(e.DNSSearch) == 0) {
		e.DNSSearch = slices.Clone(r.DNSSearch)
	}
	if len(r.DNSOptions) > 0 && (r.Override || len(e.DNSOptions) == 0) {
		e.DNSOptions = slices.Clone(r.DNSOptions)
	}
	if r.DisableResolver {
		e.DisableResolver = true
	}
	for key, value := range r.Args {
		if _, set := e.GenericParams[key]; set && !r.Override {
			continue
		}
		if e.GenericParams == nil {
			e.GenericParams = make(map[string]any, len(r.Args))
		}
		e.GenericParams[key] = value
	}
}

// of completes the address. What is not given comes from the container and the
// network, so that the next start has the same.
func (m MAC) of(id, name string) network.HardwareAddr {
	address := append(network.HardwareAddr(nil), m...)
	if len(m) == 3 {
		sum := sha256.Sum256([]byte(id + "\x00" + name))
		address = append(address, sum[:3]...)
	}
	return address
}
