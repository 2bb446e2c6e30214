package networks

import (
	"errors"
	"os"
	"path/filepath"
	"strings"

	"github.com/vishvananda/netlink"
)

// sweep removes what belongs to no network and no container: devices that
// carry this daemon's alias, interfaces in its bridges, leases.
func (s *Service) sweep() error {
	links, err := netlink.LinkList()
	if err != nil {
		return err
	}
	var errs []error
	bridges := map[int]bool{}
	for _, link := range links {
		if id, ours := s.networkOf(link); ours {
			s.mu.RLock()
			known := s.networks[id] != nil
			s.mu.RUnlock()
			if !known {
				errs = append(errs, netlink.LinkDel(link))
			}
			bridges[link.Attrs().Index] = true
		}
	}
	hosts, leases := s.live()
	for _, link := range links {
		if bridges[link.Attrs().MasterIndex] && link.Type() == "veth" && !hosts[link.Attrs().Name] {
			errs = append(errs, removeLink(link.Attrs().Name))
		}
	}
	return errors.Join(append(errs, s.sweepLeases(leases))...)
}

// live are the hosts' ends of all interfaces, and for each network who has
// leases, as host-local writes it.
func (s *Service) live() (hosts map[string]bool, leases map[string]map[string]bool) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	hosts, leases = map[string]bool{}, map[string]map[string]bool{}
	for id := range s.networks {
		leases[id] = map[string]bool{auxiliary: true}
	}
	for _, sb := range s.sandboxes {
		for _, ep := range sb.Endpoints {
			hosts[ep.Host] = true
			if leases[ep.NetworkID] != nil {
				leases[ep.NetworkID][sb.Container+"\r\n"+ep.Interface] = true
			}
		}
	}
	return hosts, leases
}

func (s *Service) sweepLeases(live map[string]map[string]bool) error {
	networks, err := os.ReadDir(s.programs.leases(""))
	if err != nil {
		return err
	}
	var errs []error
	for _, network := range networks {
		owners, known := live[network.Name()]
		if !known {
			errs = append(errs, s.programs.forgetNetwork(network.Name()))
			continue
		}
		dir := s.programs.leases(network.Name())
		leases, err := os.ReadDir(dir)
		if err != nil {
			return err
		}
		for _, lease := range leases {
			name := lease.Name()
			if name == "lock" || strings.HasPrefix(name, "last_reserved_ip.") {
				continue
			}
			owner, err := os.ReadFile(filepath.Join(dir, name))
			if err == nil && !owners[strings.TrimSpace(string(owner))] {
				err = os.Remove(filepath.Join(dir, name))
			}
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}
