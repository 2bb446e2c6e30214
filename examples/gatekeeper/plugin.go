// Package gatekeeper is a plugin of three kinds, a module of its own: it keeps
// images of other registries than those it knows off a daemon, and tells whom
// it has turned away.
package gatekeeper

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"

	containerd "github.com/containerd/containerd/v2/client"
	"github.com/containerd/errdefs"
	"github.com/distribution/reference"

	"github.com/pouchfx/pouchfx/plugins"
	"github.com/pouchfx/pouchfx/types"
)

// Module makes the plugin part of a daemon.
var Module = plugins.Provide("gatekeeper", New, plugins.Priority(100), plugins.Defaults(Config{Registries: []string{"docker.io"}}))

// Config is the section plugins.gatekeeper of the configuration file.
type Config struct {
	// Registries are those whose images may come in, as in "docker.io" or
	// "registry.example.org:5000".
	Registries []string `yaml:"registries"`
}

// Plugin keeps the gate.
type Plugin struct {
	plugins.ContainerBase
	registries []string

	mu      sync.Mutex
	refused []string
}

// New returns the plugin, or says what is wrong with its configuration.
func New(c Config) (*Plugin, error) {
	for _, r := range c.Registries {
		if strings.ContainsAny(r, "/ ") || r == "" {
			return nil, errdefs.ErrInvalidArgument.WithMessage(fmt.Sprintf("registry %q: write a host, and its port if it has one", r))
		}
	}
	return &Plugin{registries: slices.Clone(c.Registries)}, nil
}

// PreCreate refuses containers of images that must not be there.
func (p *Plugin) PreCreate(_ context.Context, c *types.ContainerCreateConfig) error {
	return p.check(c.Image)
}

// PostPull refuses the image; the name does not stay.
func (p *Plugin) PostPull(_ context.Context, _ string, image containerd.Image) error {
	return p.check(image.Name())
}

func (p *Plugin) check(image string) error {
	name, err := reference.ParseNormalizedNamed(image)
	if err != nil {
		return nil // an id, of an image that came in, or nothing that could
	}
	registry := reference.Domain(name)
	if slices.Contains(p.registries, registry) {
		return nil
	}
	p.note(name.String())
	return errdefs.ErrPermissionDenied.WithMessage(fmt.Sprintf("images of %s are not allowed here, only those of %s", registry, strings.Join(p.registries, ", ")))
}

// keep is how many names are kept.
const keep = 100

func (p *Plugin) note(image string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.refused = append(p.refused, image)
	p.refused = slices.Clone(p.refused[max(0, len(p.refused)-keep):])
}

// UpdateHandler adds a route that lists what was refused.
func (p *Plugin) UpdateHandler(_ context.Context, routes []*types.HandlerSpec) []*types.HandlerSpec {
	return append(routes, types.NewHandlerSpec(http.MethodGet, "/gatekeeper/refused", p.list))
}

func (p *Plugin) list(_ context.Context, w http.ResponseWriter, _ *http.Request) error {
	p.mu.Lock()
	refused := slices.Clone(p.refused)
	p.mu.Unlock()
	w.Header().Set("Content-Type", "application/json")
	return json.NewEncoder(w).Encode(refused)
}
