// Package volumelabels is an example of a volume plugin: it gives every volume
// the labels that its configuration names.
package volumelabels

import (
	"context"

	"github.com/pouchfx/pouchfx/plugins"
	"github.com/pouchfx/pouchfx/types"
)

// Module makes the plugin part of a daemon.
var Module = plugins.Provide("volume-labels", New, plugins.Defaults(Config{}))

// Config is the section plugins.volume-labels of the configuration file.
type Config struct {
	// Labels are those of every volume that does not have its own.
	Labels map[string]string `yaml:"labels"`
}

// Plugin adds the labels.
type Plugin struct{ config Config }

// New returns the plugin.
func New(c Config) (*Plugin, error) { return &Plugin{c}, nil }

// PreVolumeCreate adds the labels that are missing.
func (p *Plugin) PreVolumeCreate(_ context.Context, v *types.VolumeCreateConfig) error {
	if v.Labels == nil {
		v.Labels = map[string]string{}
	}
	for key, value := range p.config.Labels {
		if _, ok := v.Labels[key]; !ok {
			v.Labels[key] = value
		}
	}
	return nil
}
