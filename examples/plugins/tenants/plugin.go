// Package tenants is an example of a CRI plugin: it tells the containers of
// pods whose they are, by the namespace of the pod, and refuses namespaces that
// belong to nobody.
package tenants

import (
	"context"
	"fmt"

	"github.com/containerd/errdefs"

	"github.com/pouchfx/pouchfx/plugins"
	"github.com/pouchfx/pouchfx/types"
)

// Module makes the plugin part of a daemon.
var Module = plugins.Provide("tenants", New, plugins.Defaults(Config{Others: true}))

// Config is the section plugins.tenants of the configuration file.
type Config struct {
	// Namespaces maps the namespaces of Kubernetes to their tenants.
	Namespaces map[string]string `yaml:"namespaces"`
	// Others lets pods of other namespaces run, without a tenant.
	Others bool `yaml:"others"`
}

// Plugin knows the tenants.
type Plugin struct{ config Config }

// New returns the plugin.
func New(c Config) (*Plugin, error) { return &Plugin{config: c}, nil }

// PreCreateContainer names the tenant in the container's environment and among
// its labels.
func (p *Plugin) PreCreateContainer(_ context.Context, c *types.ContainerCreateConfig, sandbox interface{}) error {
	pod, ok := sandbox.(*types.SandboxMeta)
	if !ok {
		return fmt.Errorf("got a %T, want a *types.SandboxMeta", sandbox)
	}
	tenant, known := p.config.Namespaces[pod.Namespace]
	switch {
	case !known && p.config.Others:
		return nil
	case !known:
		return errdefs.ErrPermissionDenied.WithMessage(fmt.Sprintf("namespace %q belongs to no tenant", pod.Namespace))
	}
	c.Env = append(c.Env, "TENANT="+tenant)
	if c.Labels == nil {
		c.Labels = map[string]string{}
	}
	c.Labels["example.org/tenant"] = tenant
	return nil
}
