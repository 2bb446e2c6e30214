// Package uplink is an example of a container plugin that changes endpoints:
// of all networks of a container it makes one the way out, and it gives
// interfaces MAC addresses by which others know whose they are.
package uplink

import (
	"context"
	"crypto/sha256"
	"fmt"
	"net"
	"slices"

	"github.com/moby/moby/api/types/network"

	"github.com/pouchfx/pouchfx/networktypes"
	"github.com/pouchfx/pouchfx/plugins"
)

// Module makes the plugin part of a daemon.
var Module = plugins.Provide("uplink", New, plugins.Defaults(Config{}))

// Config is the section plugins.uplink of the configuration file.
type Config struct {
	// Network is the one through which containers on it reach the world.
	Network string `yaml:"network"`
	// Vendor is the first half of MAC addresses, as "02:42:ac"; empty leaves
	// them alone.
	Vendor string `yaml:"vendor"`
	// Search are the domains that names are looked up in.
	Search []string `yaml:"search"`
}

// Plugin changes endpoints. The hooks that it does not need are those of the
// base.
type Plugin struct {
	plugins.ContainerBase
	config Config
	vendor net.HardwareAddr
}

// New returns the plugin, or says what is wrong with its configuration.
func New(c Config) (*Plugin, error) {
	p := &Plugin{config: c}
	if c.Vendor == "" {
		return p, nil
	}
	mac, err := net.ParseMAC(c.Vendor + ":00:00:00")
	if err != nil || len(mac) != 6 || mac[0]&1 != 0 {
		return nil, fmt.Errorf("vendor %q: write three bytes of which the first is even, as 02:42:ac", c.Vendor)
	}
	p.vendor = mac[:3]
	return p, nil
}

// priority is more than that of an endpoint for which nobody chose one.
const priority = 100

// PreCreateEndpoint changes an endpoint before it is made. What the client
// asked for stays.
func (p *Plugin) PreCreateEndpoint(_ context.Context, id string, _ []string, e *networktypes.Endpoint) error {
	if e.Network == p.config.Network && e.Priority == 0 {
		e.Priority = priority // the first interface, and the default gateway
	}
	if len(e.EndpointConfig.MacAddress) == 0 && p.vendor != nil {
		sum := sha256.Sum256([]byte(id + e.Network)) // the same at every start
		e.EndpointConfig.MacAddress = append(network.HardwareAddr(nil), p.vendor...)
		e.EndpointConfig.MacAddress = append(e.EndpointConfig.MacAddress, sum[:3]...)
	}
	if len(e.DNSSearch) == 0 {
		e.DNSSearch = slices.Clone(p.config.Search) // others may change theirs
	}
	return nil
}
