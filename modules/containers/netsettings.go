package containers

import (
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/network"
)

// networkSettings are a container's networks: as they are while it runs, else
// as it asks for them.
func (s *Service) networkSettings(c *ctr) *container.NetworkSettings {
	r := c.record()
	if r.ownsNetwork() {
		if settings, open := s.Networks.Settings(c.id); open {
			settings.Ports = shownPorts(r, settings.Ports)
			return settings
		}
		return s.askedSettings(r)
	}
	settings := &container.NetworkSettings{Ports: network.PortMap{}, Networks: map[string]*network.EndpointSettings{}}
	mode := r.HostConfig.NetworkMode
	if name := string(mode); mode.IsNone() || mode.IsHost() {
		settings.Networks[name] = s.asked(name, nil)
	}
	if run := c.current(); run != nil && !mode.IsContainer() {
		settings.SandboxID, settings.SandboxKey = c.id, procPath(run.pid, "ns", "net")
	}
	return settings
}

// askedSettings are those of a container that does not run.
func (s *Service) askedSettings(r *record) *container.NetworkSettings {
	settings := &container.NetworkSettings{Ports: network.PortMap{}, Networks: map[string]*network.EndpointSettings{}}
	for name, e := range r.NetworkingConfig.EndpointsConfig {
		settings.Networks[name] = s.asked(name, e)
	}
	return settings
}

// asked is an endpoint that is not there, with the id of its network: compose
// tells by it whether the container is on the right one.
func (s *Service) asked(name string, e *network.EndpointSettings) *network.EndpointSettings {
	if e = e.Copy(); e == nil {
		e = &network.EndpointSettings{}
	}
	if n, err := s.Networks.Find(name); err == nil {
		e.NetworkID = n.ID
	}
	return e
}
