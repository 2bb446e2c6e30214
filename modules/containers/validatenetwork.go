package containers

import (
	"slices"
	"strings"

	"github.com/moby/moby/api/types/network"

	"github.com/pouchfx/pouchfx/types"
)

// validateNetwork allows the modes that this daemon has. A network that it does
// not have is the client's mistake and not "not found": of a create that says
// that, the docker CLI thinks that the image is missing, and pulls it.
func validateNetwork(c *types.ContainerCreateConfig) error {
	mode := c.HostConfig.NetworkMode
	if mode.IsContainer() && mode.ConnectedContainer() == "" {
		return invalid("invalid network mode: invalid container format container:<name|id>")
	}
	if err := knownNetwork(string(mode)); err != nil {
		return err
	}
	endpoints := c.NetworkingConfig.EndpointsConfig
	if len(endpoints) > 1 {
		return invalid("a container cannot be connected to more than one network: this daemon has the networks none and host, choose one with --network")
	}
	for name, endpoint := range endpoints {
		if err := knownNetwork(name); err != nil {
			return err
		}
		if err := validateEndpoint(name, endpoint); err != nil {
			return err
		}
	}
	return nil
}

func knownNetwork(name string) error {
	if strings.HasPrefix(name, "container:") || slices.Contains([]string{"", "default", "bridge", "none", "host"}, name) {
		return nil
	}
	return invalid("network %s not found: this daemon has the networks none and host, choose one with --network", name)
}

// validateEndpoint refuses what a network without endpoints cannot do.
func validateEndpoint(name string, e *network.EndpointSettings) error {
	if e == nil {
		return nil
	}
	if c := e.IPAMConfig; c != nil && (c.IPv4Address.IsValid() || c.IPv6Address.IsValid() || len(c.LinkLocalIPs) > 0) {
		return invalid("invalid config for network %s: user specified IP address is supported only when connecting to networks with user configured subnets", name)
	}
	for _, s := range []struct {
		name  string
		given bool
	}{
		{"MacAddress", len(e.MacAddress) > 0}, {"Links", len(e.Links) > 0}, {"Aliases", len(e.Aliases) > 0}, {"DriverOpts", len(e.DriverOpts) > 0},
	} {
		if s.given {
			return unsupported("EndpointsConfig.%s of the network %s is not supported by this daemon", s.name, name)
		}
	}
	return nil
}
