package containers

import (
	"maps"
	"slices"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/network"

	"github.com/pouchfx/pouchfx/types"
)

// planNetworks settles on which networks a new container is to be: those that
// it names, by their names, and that of its network mode. As with dockerd a
// network need not be there yet: it is looked for at every start, and the
// client gets its "not found" then. (Of a create that says "not found" the
// docker CLI thinks that the image is missing, and pulls it.)
func (s *Service) planNetworks(c *types.ContainerCreateConfig) error {
	h, asked := c.HostConfig, c.NetworkingConfig.EndpointsConfig
	byDefault := h.NetworkMode == "" || h.NetworkMode.IsDefault()
	if byDefault {
		h.NetworkMode = network.NetworkBridge
	}
	if h.NetworkMode.IsContainer() {
		return nil
	}
	mode, err := s.networkName(string(h.NetworkMode))
	if err != nil {
		return err
	}
	if slices.Contains([]string{network.NetworkBridge, network.NetworkHost, network.NetworkNone}, mode) {
		h.NetworkMode = container.NetworkMode(mode)
	}
	planned := map[string]*network.EndpointSettings{}
	for _, ref := range slices.Sorted(maps.Keys(asked)) {
		name, e := ref, asked[ref]
		if name == network.NetworkDefault {
			name = network.NetworkBridge
		}
		if name, err = s.networkName(name); err != nil {
			return err
		}
		if _, twice := planned[name]; twice {
			return invalid("conflicting options: network %s is named twice, by name and by id", name)
		}
		if e == nil {
			e = &network.EndpointSettings{}
		}
		planned[name] = e
	}
	if _, there := planned[mode]; !there && (!byDefault || len(planned) == 0) {
		planned[mode] = &network.EndpointSettings{}
	}
	c.NetworkingConfig.EndpointsConfig = planned
	return nil
}

// networkName is the name of the network that ref names, or ref where there is
// none.
func (s *Service) networkName(ref string) (string, error) {
	n, err := s.Networks.Find(ref)
	switch {
	case err == nil:
		return n.Name, nil
	case errdefs.IsNotFound(err):
		return ref, nil
	}
	return "", err
}

// validateNetwork refuses what goes against the network mode, in dockerd's
// words.
func validateNetwork(c *types.ContainerCreateConfig) error {
	h, mode := c.HostConfig, c.HostConfig.NetworkMode
	if !mode.IsContainer() {
		return validateEndpoints(c)
	}
	for _, s := range []struct {
		text  string
		given bool
	}{
		{"invalid network mode: invalid container format container:<name|id>", mode.ConnectedContainer() == ""},
		{"conflicting options: hostname and the network mode", c.Hostname != ""},
		{"conflicting options: dns and the network mode", len(h.DNS) > 0},
		{"conflicting options: custom host-to-IP mapping and the network mode", len(h.ExtraHosts) > 0},
		{"conflicting options: port publishing and the container type network mode", len(h.PortBindings) > 0 || h.PublishAllPorts},
		{"conflicting options: port exposing and the container type network mode", len(c.ExposedPorts) > 0},
		{sharedNetwork, len(c.NetworkingConfig.EndpointsConfig) > 0},
	} {
		if s.given {
			return invalid("%s", s.text)
		}
	}
	return nil
}

const (
	sharedNetwork = "container sharing network namespace with another container or host cannot be connected to any other network"
	noNetwork     = "container cannot be connected to multiple networks with one of the networks in private (none) mode"
)

// validateEndpoints refuses networks beside host and none, which are alone.
func validateEndpoints(c *types.ContainerCreateConfig) error {
	mode, endpoints := c.HostConfig.NetworkMode, c.NetworkingConfig.EndpointsConfig
	for _, alone := range []struct{ name, text string }{{network.NetworkHost, sharedNetwork}, {network.NetworkNone, noNetwork}} {
		e, there := endpoints[alone.name]
		if !there && string(mode) != alone.name {
			continue
		}
		if len(endpoints) > 1 || len(endpoints) == 1 && !there || string(mode) != alone.name {
			return invalid("%s", alone.text)
		}
		if err := validateEndpoint(alone.name, e); err != nil {
			return err
		}
	}
	return nil
}

// validateEndpoint refuses what a network without endpoints cannot do.
func validateEndpoint(name string, e *network.EndpointSettings) error {
	if e == nil {
		return nil
	}
	if c := e.IPAMConfig; c != nil && (c.IPv4Address.IsValid() || c.IPv6Address.IsValid() || len(c.LinkLocalIPs) > 0) {
		return invalid("invalid config for network %s: invalid endpoint settings:\nuser specified IP address is supported on user defined networks only", name)
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

// checkEndpoints checks the endpoints on networks that are there.
func (s *Service) checkEndpoints(c *types.ContainerCreateConfig) error {
	mode := c.HostConfig.NetworkMode
	if mode.IsHost() || mode.IsNone() || mode.IsContainer() {
		return nil
	}
	for _, name := range slices.Sorted(maps.Keys(c.NetworkingConfig.EndpointsConfig)) {
		n, err := s.Networks.Find(name)
		if errdefs.IsNotFound(err) {
			continue
		}
		if err == nil {
			err = s.Networks.Check(n, c.NetworkingConfig.EndpointsConfig[name])
		}
		if err != nil {
			return err
		}
	}
	return nil
}
