package networks

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/vishvananda/netlink"
	"go.uber.org/zap"
	"golang.org/x/sync/errgroup"

	"github.com/pouchfx/pouchfx/modules/networks/firewall"
)

// restoring is how many sandboxes are looked at, at the same time.
const restoring = 8

// restore brings back what containers have that outlived the daemon, and takes
// down what was left half-done.
func (s *Service) restore(ctx context.Context) error {
	if err := s.readSandboxes(ctx); err != nil {
		return err
	}
	// At first the devices, then all rules in one transaction, in which ports
	// stay open that are. What fails here fails again, and is told, when a
	// container needs it.
	for _, e := range s.bridged() {
		e.device.Lock()
		err := s.ensureDevice(ctx, e)
		e.device.Unlock()
		if err != nil {
			s.log.Warn("cannot set up a network: containers cannot be connected to it", zap.String("network", e.Name), zap.Error(err))
		}
	}
	if err := s.restoreRules(); err != nil {
		s.log.Warn("cannot make the firewall's rules: containers cannot be connected to networks", zap.Error(err))
	}
	var group errgroup.Group
	group.SetLimit(restoring)
	for _, id := range s.Sandboxes() {
		group.Go(func() error { s.restoreSandbox(ctx, id); return nil })
	}
	_ = group.Wait() // nothing fails
	if err := s.sweep(); err != nil {
		s.log.Warn("cannot remove what unknown containers left", zap.Error(err))
	}
	return nil
}

// bridged are the networks that have a device.
func (s *Service) bridged() []*entry {
	s.mu.RLock()
	defer s.mu.RUnlock()
	var all []*entry
	for _, e := range s.networks {
		if e.Driver == driverBridge {
			all = append(all, e)
		}
	}
	return all
}

// readSandboxes reads what is written down. A sandbox without a readable
// record has nothing but its namespace.
func (s *Service) readSandboxes(ctx context.Context) error {
	dirs, err := os.ReadDir(s.dir)
	if err != nil {
		return err
	}
	for _, dir := range dirs {
		if err := ctx.Err(); err != nil {
			return err
		}
		sb := &sandbox{}
		text, err := os.ReadFile(filepath.Join(s.dir, dir.Name(), stateFile))
		if err == nil {
			err = json.Unmarshal(text, sb)
		}
		sb.dir = filepath.Join(s.dir, dir.Name())
		if err != nil || sb.Container != dir.Name() {
			if err := errors.Join(err, sb.remove()); err != nil {
				s.log.Warn("removed a sandbox without a record", zap.String("container", dir.Name()), zap.Error(err))
			}
			continue
		}
		s.mu.Lock()
		s.sandboxes[sb.Container] = sb
		s.mu.Unlock()
	}
	return nil
}

// restoreRules makes the firewall's table anew, for all networks and for the
// ports of all sandboxes.
func (s *Service) restoreRules() error {
	var networks []firewall.Network
	for _, e := range s.bridged() {
		if link, err := s.findBridge(e); err == nil && link != nil {
			networks = append(networks, e.firewall())
		}
	}
	var ports []firewall.Port
	for _, id := range s.Sandboxes() {
		sb, err := s.opened(id)
		if err != nil {
			continue
		}
		if gateway := sb.gateway(); gateway != nil && namespaceExists(sb.netns()) {
			sb.published = s.firewallPorts(sb, gateway)
			ports = append(ports, sb.published...)
		}
	}
	return s.rules.begin(networks, ports)
}

// restoreSandbox brings one sandbox back, or takes it down when its namespace
// is gone.
func (s *Service) restoreSandbox(ctx context.Context, id string) {
	s.busy.Lock(id)
	defer func() { _ = s.busy.Unlock(id) }()
	sb, err := s.opened(id)
	if err != nil {
		return
	}
	if !namespaceExists(sb.netns()) {
		err = s.close(ctx, id)
	} else {
		s.reserveAgain(sb)
		err = s.repair(ctx, sb)
	}
	if err != nil {
		s.log.Warn("cannot restore the networks of a container", zap.String("container", id), zap.Error(err))
	}
}

// repair takes down endpoints that were half made, plugs those whose bridge is
// new into it, and starts the name server.
func (s *Service) repair(ctx context.Context, sb *sandbox) error {
	var errs []error
	for _, ep := range sb.Endpoints {
		if !ep.Plugged {
			errs = append(errs, s.unplug(ctx, sb, ep))
		} else if err := s.plugIntoBridge(ep); err != nil {
			errs = append(errs, err)
		}
	}
	return errors.Join(append(errs, s.settle(sb), sb.save())...)
}

// plugIntoBridge makes sure that the host's end of an interface is part of the
// network's bridge.
func (s *Service) plugIntoBridge(ep *endpoint) error {
	if ep.Host == "" {
		return nil
	}
	s.mu.RLock()
	e := s.networks[ep.NetworkID]
	s.mu.RUnlock()
	if e == nil {
		return nil
	}
	host, err := netlink.LinkByName(ep.Host)
	if errors.As(err, new(netlink.LinkNotFoundError)) {
		return fmt.Errorf("the container's interface %s on network %s is gone", ep.Interface, e.Name)
	}
	if err != nil {
		return err
	}
	bridge, err := s.findBridge(e)
	if err != nil || bridge == nil || host.Attrs().MasterIndex == bridge.Attrs().Index {
		return err
	}
	return errors.Join(netlink.LinkSetMaster(host, bridge), netlink.LinkSetHairpin(host, true),
		netlink.LinkSetIsolated(host, !e.options.icc))
}

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
