package networks

import (
	"net/netip"
	"slices"
	"strconv"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/network"
)

// Settings describes what an open sandbox has, as inspect shows it; false
// means that the container has none.
func (s *Service) Settings(id string) (*container.NetworkSettings, bool) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	sb := s.sandboxes[id]
	if sb == nil {
		return nil, false
	}
	settings := &container.NetworkSettings{SandboxID: sb.ID, SandboxKey: sb.netns(), Ports: network.PortMap{},
		Networks: map[string]*network.EndpointSettings{}}
	for _, b := range sb.Bindings {
		settings.Ports[b.Port] = append(settings.Ports[b.Port], network.PortBinding{HostIP: b.HostIP, HostPort: strconv.Itoa(int(b.HostPort))})
	}
	for _, ep := range sb.Endpoints {
		if ep.Plugged {
			settings.Networks[ep.Asked.Network] = s.endpointSettings(sb, ep)
		}
	}
	return settings, true
}

// endpointSettings describes one endpoint. The caller holds the lock.
func (s *Service) endpointSettings(sb *sandbox, ep *endpoint) *network.EndpointSettings {
	shown := ep.Asked.EndpointConfig.Copy()
	shown.NetworkID, shown.EndpointID, shown.DNSNames = ep.NetworkID, ep.ID, nil
	shown.Gateway, shown.IPv6Gateway = ep.Gateway4, ep.Gateway6
	shown.MacAddress = slices.Clone(ep.MAC)
	shown.IPAddress, shown.IPPrefixLen = address(ep.V4)
	shown.GlobalIPv6Address, shown.GlobalIPv6PrefixLen = address(ep.V6)
	if e := s.networks[ep.NetworkID]; e != nil && e.Driver == driverBridge && e.userDefined() {
		// Since API 1.45 the short id is in DNSNames alone.
		if short := shortID(sb.Container); !slices.Contains(shown.Aliases, short) {
			shown.Aliases = append(shown.Aliases, short)
		}
		shown.DNSNames = sb.dnsNames(ep)
	}
	return shown
}

func address(p netip.Prefix) (netip.Addr, int) {
	if !p.IsValid() {
		return netip.Addr{}, 0
	}
	return p.Addr(), p.Bits()
}
