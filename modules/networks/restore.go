package networks

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"

	"go.uber.org/zap"
	"golang.org/x/sync/errgroup"

	"github.com/pouchfx/pouchfx/modules/networks/firewall"
)

// restoring is how many sandboxes are looked at, at the same time: most of it
// is waiting for the kernel.
const restoring = 32

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
	published := map[*sandbox][]firewall.Port{}
	for _, id := range s.Sandboxes() {
		sb, err := s.opened(id)
		if err != nil {
			continue
		}
		if gateway := sb.gateway(); gateway != nil && namespaceExists(sb.netns()) {
			published[sb] = s.firewallPorts(sb, gateway)
			ports = append(ports, published[sb]...)
		}
	}
	if err := s.rules.begin(networks, ports); err != nil {
		return err
	}
	for sb, ports := range published {
		sb.published = ports
	}
	return nil
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

// repair takes down endpoints that were half made, and brings the others' routes,
// ports and names in order.
func (s *Service) repair(ctx context.Context, sb *sandbox) error {
	var errs []error
	for _, ep := range sb.Endpoints {
		if !ep.Plugged {
			errs = append(errs, s.unplug(ctx, sb, ep))
		}
	}
	return errors.Join(append(errs, s.settle(sb), sb.save())...)
}
