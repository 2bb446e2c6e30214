package networks

import (
	"fmt"
	"net/netip"

	"go.uber.org/zap"

	"github.com/pouchfx/pouchfx/modules/networks/nameserver"
)

// settleSubnets makes sure that a network's subnets are free, and chooses
// those that nobody asked for. Containers that are on the network keep their
// addresses whatever else is there by now. The caller has a claim, and the
// network has no device.
func (s *Service) settleSubnets(e *entry) error {
	if s.plugged(e.ID) {
		return nil
	}
	host, err := readHostRoutes()
	if err != nil {
		return fmt.Errorf("read the host's routes: %w", err)
	}
	taken := append(s.otherSubnets(e), host.all()...)
	settled := make([]subnet, 0, 2)
	moved := false
	for _, sub := range e.Subnets {
		switch {
		case !sub.Chosen:
			if overlaps(sub.Prefix, s.otherSubnets(e)) || host.conflicts(sub.Prefix) {
				return forbidden("invalid pool request: Pool overlaps with other one on this address space")
			}
		case overlaps(sub.Prefix, taken):
			if sub, err = chooseSubnet(sub.Prefix.Addr().Is6(), taken); err != nil {
				return err
			}
			moved = true
		}
		settled = append(settled, sub)
	}
	if e.subnet(false) == nil {
		sub, err := chooseSubnet(false, taken)
		if err != nil {
			return err
		}
		settled, moved = append([]subnet{sub}, settled...), true
	}
	if e.IPv6 && e.subnet(true) == nil {
		sub, err := chooseSubnet(true, taken)
		if err != nil {
			return err
		}
		settled, moved = append(settled, sub), true
	}
	if !moved {
		return nil
	}
	r := e.record
	r.Subnets = settled
	if err := s.records.Put(bucket, r.ID, r); err != nil {
		return err
	}
	s.mu.Lock()
	e.record = r
	s.mu.Unlock()
	s.log.Info("chose a subnet", zap.String("network", e.Name), zap.Stringers("subnets", e.prefixes()))
	return nil
}

// otherSubnets are those of the daemon's other networks.
func (s *Service) otherSubnets(e *entry) []netip.Prefix {
	s.mu.RLock()
	defer s.mu.RUnlock()
	var all []netip.Prefix
	for _, other := range s.networks {
		if other.ID != e.ID {
			all = append(all, other.prefixes()...)
		}
	}
	return all
}

// chooseSubnet takes one from the default pools that overlaps with nothing
// taken, nor with the host's name servers.
func chooseSubnet(v6 bool, taken []netip.Prefix) (subnet, error) {
	servers, _, _, err := nameserver.HostUpstreams()
	if err != nil {
		servers = nil // then there is nothing to keep away from
	}
	for _, server := range servers {
		addr := server.Addr().Unmap().WithZone("")
		taken = append(taken, netip.PrefixFrom(addr, addr.BitLen()))
	}
	chosen := randomSubnet6()
	for v6 && overlaps(chosen, taken) {
		chosen = randomSubnet6()
	}
	if !v6 {
		if chosen, err = freeSubnet(taken); err != nil {
			return subnet{}, err
		}
	}
	return subnet{Prefix: chosen, Gateway: chosen.Addr().Next(), Chosen: true}, nil
}
