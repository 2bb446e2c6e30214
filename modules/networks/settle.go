package networks

import (
	"fmt"
	"net/netip"
	"slices"

	"github.com/pouchfx/pouchfx/modules/networks/firewall"
	"github.com/pouchfx/pouchfx/modules/networks/nameserver"
)

// settle brings what depends on all of a sandbox's endpoints into agreement
// with them: the default route, the published ports and the name server.
func (s *Service) settle(sb *sandbox) error {
	gateway := sb.gateway()
	if err := sb.routeThrough(gateway); err != nil {
		return fmt.Errorf("set the default route of container %s: %w", sb.Name, err)
	}
	if err := s.publishThrough(sb, gateway); err != nil {
		return err
	}
	return s.serveNames(sb)
}

// gateway is the endpoint through which a sandbox reaches everything that it
// is not connected to; nil when there is none.
func (sb *sandbox) gateway() *endpoint {
	var able []*endpoint
	for _, ep := range sb.Endpoints {
		if ep.Plugged && ep.Gateway4.IsValid() {
			able = append(able, ep)
		}
	}
	if len(able) == 0 {
		return nil
	}
	return slices.MinFunc(able, byPriority)
}

// publishThrough leads the published ports to an endpoint, and nowhere with
// nil. Which ports of the host these are is settled the first time.
func (s *Service) publishThrough(sb *sandbox, ep *endpoint) error {
	var want []firewall.Port
	if ep != nil {
		if sb.Bindings == nil && len(sb.Ports) > 0 {
			if err := s.reserve(sb, ep); err != nil {
				return fmt.Errorf("driver failed programming external connectivity on endpoint %s (%s): %w", sb.Name, ep.ID, err)
			}
			if err := sb.save(); err != nil {
				return err
			}
		}
		want = s.firewallPorts(sb, ep)
	}
	if slices.Equal(want, sb.published) {
		return nil
	}
	if err := s.unpublish(sb); err != nil {
		return err
	}
	if err := s.rules.table.Publish(want); err != nil {
		return fmt.Errorf("publish ports of container %s: %w", sb.Name, err)
	}
	sb.published = want
	return nil
}

// firewallPorts are the bindings as rules that lead to an endpoint.
func (s *Service) firewallPorts(sb *sandbox, ep *endpoint) []firewall.Port {
	s.mu.RLock()
	e := s.networks[ep.NetworkID]
	s.mu.RUnlock()
	if e == nil {
		return nil
	}
	var ports []firewall.Port
	for _, b := range sb.Bindings {
		to := ep.V4.Addr()
		if b.HostIP.Is6() {
			to = ep.V6.Addr()
		}
		if to.IsValid() {
			ports = append(ports, firewall.Port{Protocol: string(b.Port.Proto()), HostIP: b.HostIP, HostPort: b.HostPort,
				Container: to, ContainerPort: b.Port.Num(), Bridge: e.bridge()})
		}
	}
	return ports
}

// unpublish closes the published ports; they stay reserved.
func (s *Service) unpublish(sb *sandbox) error {
	if len(sb.published) == 0 {
		return nil
	}
	if err := s.rules.table.Unpublish(sb.published); err != nil {
		return fmt.Errorf("unpublish ports of container %s: %w", sb.Name, err)
	}
	sb.published = nil
	return nil
}

// closeIfPublished unpublishes ports that lead to an endpoint which goes:
// whoever gets its address next must not get its connections.
func (s *Service) closeIfPublished(sb *sandbox, ep *endpoint) error {
	leads := func(p firewall.Port) bool { return p.Container == ep.V4.Addr() || p.Container == ep.V6.Addr() }
	if slices.ContainsFunc(sb.published, leads) {
		return s.unpublish(sb)
	}
	return nil
}

// serveNames starts or ends a sandbox's name server.
func (s *Service) serveNames(sb *sandbox) error {
	if !s.resolves(sb) {
		return sb.stopServer()
	}
	if sb.server != nil {
		return nil
	}
	server, err := nameserver.Serve(sb.netns(), sb.NameServer, &resolver{s: s, sb: sb}, s.log.Named("dns"))
	if err != nil {
		return fmt.Errorf("start the name server of container %s: %w", sb.Name, err)
	}
	sb.server, sb.NameServer = server, server.Ports()
	return nil
}

// resolves reports whether a sandbox has a name server of its own: for the
// names of a user-defined network, or as the only way to the host's servers
// where these are on its loopback device.
func (s *Service) resolves(sb *sandbox) bool {
	s.mu.RLock()
	defer s.mu.RUnlock()
	userDefined, bridged := false, false
	for _, ep := range sb.Endpoints {
		if ep.Asked.DisableResolver {
			return false
		}
		if e := s.networks[ep.NetworkID]; e != nil && e.Driver == driverBridge {
			bridged = true
			userDefined = userDefined || e.userDefined()
		}
	}
	return userDefined || bridged && len(sb.ownServers()) == 0 && onlyLoopback(hostServers())
}

func onlyLoopback(servers []netip.AddrPort) bool {
	return len(servers) > 0 && !slices.ContainsFunc(servers, func(a netip.AddrPort) bool { return !a.Addr().IsLoopback() })
}

// hostServers are the host's name servers.
func hostServers() []netip.AddrPort {
	servers, _, _, err := nameserver.HostUpstreams()
	if err != nil {
		return nil
	}
	return servers
}
