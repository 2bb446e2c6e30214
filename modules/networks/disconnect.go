package networks

import (
	"context"
	"errors"
	"fmt"
	"slices"

	eventtypes "github.com/moby/moby/api/types/events"
	"github.com/vishvananda/netlink"
	"go.uber.org/zap"
	"golang.org/x/sync/errgroup"
)

// Disconnect takes a sandbox off a network. The default route and the
// published ports move to the first of the endpoints that are left. With force
// an endpoint is forgotten even if it cannot be taken down.
func (s *Service) Disconnect(ctx context.Context, container, networkName string, force bool) error {
	s.busy.Lock(container)
	defer func() { _ = s.busy.Unlock(container) }()
	sb, err := s.opened(container)
	if err != nil {
		return err
	}
	ep := sb.named(networkName)
	if ep == nil {
		return notFound("container %s is not connected to network %s", container, networkName)
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeTimeout)
	defer cancel()
	if err := s.unplug(ctx, sb, ep); err != nil {
		if !force {
			return err
		}
		s.log.Warn("forgot an endpoint that could not be taken down", zap.String("container", container), zap.String("network", ep.Asked.Network), zap.Error(err))
		s.drop(sb, ep)
	}
	s.publishEndpoint(eventtypes.ActionDisconnect, sb, ep)
	return errors.Join(s.settle(sb), sb.save())
}

// named returns the endpoint on the network of that name or id.
func (sb *sandbox) named(nameOrID string) *endpoint {
	for _, ep := range sb.Endpoints {
		if ep.Asked.Network == nameOrID || ep.NetworkID == nameOrID {
			return ep
		}
	}
	return nil
}

// unplug has CNI undo what it did, whole or half, and forgets the endpoint.
func (s *Service) unplug(ctx context.Context, sb *sandbox, ep *endpoint) error {
	if ep.Interface != "" && ep.Config != nil {
		if err := s.closeIfPublished(sb, ep); err != nil {
			return err
		}
		if err := s.detach(ctx, sb, ep); err != nil {
			return fmt.Errorf("disconnect container %s from network %s: %w", sb.Name, ep.Asked.Network, err)
		}
	}
	s.drop(sb, ep)
	return nil
}

// detach removes an interface and gives its addresses back. The kernel takes
// its time for an interface, and half as much when that goes from the host's
// end, wherever the container moved its own; meanwhile CNI does the rest.
func (s *Service) detach(ctx context.Context, sb *sandbox, ep *endpoint) error {
	a := sb.attachment(ep)
	if ep.Host == "" && namespaceExists(a.netns) { // it may be half made
		return s.programs.del(ctx, a)
	}
	a.netns = ""
	var both errgroup.Group
	both.Go(func() error { return removeLink(ep.Host) })
	both.Go(func() error { return s.programs.del(ctx, a) })
	return both.Wait()
}

// removeLink removes the host's end of an interface, if it is still there.
func removeLink(name string) error {
	if name == "" {
		return nil
	}
	link, err := netlink.LinkByName(name)
	if err == nil {
		err = netlink.LinkDel(link)
	}
	if errors.As(err, new(netlink.LinkNotFoundError)) {
		return nil
	}
	return err
}

// drop forgets an endpoint.
func (s *Service) drop(sb *sandbox, ep *endpoint) {
	s.mu.Lock()
	defer s.mu.Unlock()
	sb.Endpoints = slices.DeleteFunc(slices.Clone(sb.Endpoints), func(other *endpoint) bool { return other == ep })
}

// takeBack undoes a connect that failed.
func (s *Service) takeBack(ctx context.Context, sb *sandbox, added []*endpoint) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeTimeout)
	defer cancel()
	var errs []error
	for _, ep := range slices.Backward(added) {
		errs = append(errs, s.unplug(ctx, sb, ep))
	}
	if len(sb.Endpoints) == 0 {
		errs = append(errs, s.unpublish(sb), sb.stopServer())
		s.releasePorts(sb)
	} else {
		errs = append(errs, s.settle(sb))
	}
	return errors.Join(append(errs, sb.save())...)
}

// publishEndpoint tells that a container came to a network or left it. Of an
// endpoint that never was whole nobody heard.
func (s *Service) publishEndpoint(action eventtypes.Action, sb *sandbox, ep *endpoint) {
	if !ep.Plugged {
		return
	}
	s.mu.RLock()
	e := s.networks[ep.NetworkID]
	s.mu.RUnlock()
	if e != nil {
		s.publish(action, e, map[string]string{"container": sb.Container})
	}
}
