package networks

import (
	"net/netip"
	"slices"
	"strings"

	"github.com/pouchfx/pouchfx/modules/networks/nameserver"
)

// resolver answers the queries of one sandbox. It reads memory only.
type resolver struct {
	s  *Service
	sb *sandbox
}

var _ nameserver.Names = (*resolver)(nil)

// Lookup finds containers on the sandbox's user-defined networks by a name, or
// by a name and the network's. Where several have it, all addresses are
// returned.
func (r *resolver) Lookup(name string) (addrs []netip.Addr, ours bool) {
	r.s.mu.RLock()
	defer r.s.mu.RUnlock()
	for _, own := range r.sb.Endpoints {
		e := r.s.networks[own.NetworkID]
		if e == nil || !e.userDefined() {
			continue
		}
		wanted := r.linked(own, name)
		short, ok := strings.CutSuffix(name, "."+strings.ToLower(e.Name))
		if !ok {
			short = wanted
		}
		for _, sb := range r.s.sandboxes {
			ep := sb.on(e.ID)
			if ep == nil || !ep.Plugged || !sb.answers(ep, wanted) && !sb.answers(ep, short) {
				continue
			}
			ours = true
			for _, p := range []netip.Prefix{ep.V4, ep.V6} {
				if p.IsValid() {
					addrs = append(addrs, p.Addr())
				}
			}
		}
	}
	return addrs, ours
}

// linked returns the container that an endpoint's links give a name to, or
// the name itself. Only the sandbox with the links sees them.
func (r *resolver) linked(own *endpoint, name string) string {
	for _, link := range own.Asked.EndpointConfig.Links {
		container, alias, ok := strings.Cut(link, ":")
		if !ok {
			alias = container
		}
		if container = strings.TrimPrefix(container, "/"); !strings.EqualFold(strings.TrimPrefix(alias, "/"), name) {
			continue
		}
		if sb := r.s.sandboxes[container]; sb != nil {
			return strings.ToLower(sb.Name)
		}
		return strings.ToLower(container)
	}
	return name
}

// answers reports whether a name, in lower case, is one of an endpoint's.
func (sb *sandbox) answers(ep *endpoint, name string) bool {
	return slices.ContainsFunc(sb.dnsNames(ep), func(own string) bool { return strings.EqualFold(own, name) })
}

// dnsNames are the names by which others on a user-defined network find a
// container; the first is the one that its address has.
func (sb *sandbox) dnsNames(ep *endpoint) []string {
	names := append([]string{sb.Name}, ep.Asked.EndpointConfig.Aliases...)
	names = append(names, shortID(sb.Container), sb.Hostname)
	var unique []string
	for _, name := range names {
		if name != "" && !slices.Contains(unique, name) {
			unique = append(unique, name)
		}
	}
	return unique
}

func shortID(id string) string { return id[:min(len(id), 12)] }

// Reverse names the container that has an address on one of the sandbox's
// user-defined networks.
func (r *resolver) Reverse(addr netip.Addr) (name string, ours bool) {
	r.s.mu.RLock()
	defer r.s.mu.RUnlock()
	for _, own := range r.sb.Endpoints {
		e := r.s.networks[own.NetworkID]
		if e == nil || !e.userDefined() {
			continue
		}
		for _, sb := range r.s.sandboxes {
			if ep := sb.on(e.ID); ep != nil && ep.Plugged && (ep.V4.Addr() == addr || ep.V6.Addr() == addr) {
				return sb.dnsNames(ep)[0] + "." + e.Name, true
			}
		}
	}
	return "", false
}

// Upstreams are the servers that other names are asked of: those of the
// container, or the host's. A container that is on internal networks only has
// none.
func (r *resolver) Upstreams() []netip.AddrPort {
	r.s.mu.RLock()
	reaches := slices.ContainsFunc(r.sb.Endpoints, func(ep *endpoint) bool { return ep.Gateway4.IsValid() })
	own := r.sb.ownServers()
	r.s.mu.RUnlock()
	if !reaches {
		return nil
	}
	if len(own) == 0 {
		return hostServers()
	}
	var servers []netip.AddrPort
	for _, addr := range own {
		servers = append(servers, netip.AddrPortFrom(addr, 53))
	}
	return servers
}
