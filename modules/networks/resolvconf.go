package networks

import (
	"net/netip"
	"slices"
	"strings"

	"github.com/pouchfx/pouchfx/modules/networks/firewall"
	"github.com/pouchfx/pouchfx/modules/networks/nameserver"
)

// publicServers are those that dockerd gives to containers of a host without
// any that they could reach.
var publicServers = []netip.Addr{netip.MustParseAddr("8.8.8.8"), netip.MustParseAddr("8.8.4.4")}

// Names says what a container's resolv.conf and hosts are made of. Without an
// open sandbox these are the host's.
func (s *Service) Names(container string) Names {
	sb, err := s.opened(container)
	if err != nil {
		sb = &sandbox{}
	}
	resolves := err == nil && s.resolves(sb)
	s.mu.RLock()
	defer s.mu.RUnlock()
	servers, search, options, _ := nameserver.HostUpstreams() // a host may have none
	n := Names{Servers: sb.ownServers(), Search: search, Options: options}
	if own := said(sb, func(ep *endpoint) []string { return ep.Asked.DNSSearch }, sb.DNSSearch); len(own) > 0 {
		n.Search = own
	}
	if own := said(sb, func(ep *endpoint) []string { return ep.Asked.DNSOptions }, sb.DNSOptions); len(own) > 0 {
		n.Options = own
	}
	switch {
	case resolves:
		n.Servers = []netip.Addr{firewall.ResolverAddress}
		if !slices.ContainsFunc(n.Options, func(o string) bool { return strings.HasPrefix(o, "ndots:") }) {
			n.Options = append(slices.Clone(n.Options), "ndots:0")
		}
	case len(n.Servers) == 0:
		for _, server := range servers {
			if !server.Addr().IsLoopback() {
				n.Servers = append(n.Servers, server.Addr())
			}
		}
		if len(n.Servers) == 0 {
			n.Servers = publicServers
		}
	}
	for _, ep := range sb.ordered() {
		for _, p := range []netip.Prefix{ep.V4, ep.V6} {
			if p.IsValid() {
				n.Addresses = append(n.Addresses, p.Addr())
			}
		}
		if e := s.networks[ep.NetworkID]; e != nil && !n.Gateway.IsValid() && ep.Interface != "" {
			n.Gateway = e.subnet(false).Gateway
		}
	}
	return n
}

// ordered are the plugged endpoints in their order, the default route's first.
func (sb *sandbox) ordered() []*endpoint {
	plugged := slices.DeleteFunc(slices.Clone(sb.Endpoints), func(ep *endpoint) bool { return !ep.Plugged })
	slices.SortFunc(plugged, byPriority)
	if gateway := sb.gateway(); gateway != nil {
		plugged = slices.DeleteFunc(plugged, func(ep *endpoint) bool { return ep == gateway })
		plugged = slices.Insert(plugged, 0, gateway)
	}
	return plugged
}

// ownServers are those that the container, or a hook, asked for.
func (sb *sandbox) ownServers() []netip.Addr {
	return said(sb, func(ep *endpoint) []netip.Addr { return ep.Asked.DNS }, sb.DNS)
}

// said is what a hook has one of the endpoints say in place of what the
// container says; where several differ, the first endpoint's.
func said[T comparable](sb *sandbox, of func(*endpoint) []T, container []T) []T {
	for _, ep := range slices.SortedFunc(slices.Values(sb.Endpoints), byPriority) {
		if own := of(ep); len(own) > 0 && !slices.Equal(own, container) {
			return own
		}
	}
	return container
}
