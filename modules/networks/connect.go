package networks

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	current "github.com/containernetworking/cni/pkg/types/100"
	eventtypes "github.com/moby/moby/api/types/events"
	"github.com/moby/moby/api/types/network"

	"github.com/pouchfx/pouchfx/networktypes"
)

// Connect plugs an open sandbox into networks: all of them or, with an error,
// none. Interfaces are named in the endpoints' order: the bigger priority
// first, then by the networks' names. Of all the sandbox's endpoints, those
// from before included, the first has the default route and the published
// ports.
//
// The error is an errdefs.ErrNotFound without the sandbox or a network, an
// errdefs.ErrPermissionDenied, with dockerd's texts, when the container is
// connected already or its address is taken, and plain with what the CNI
// program said, or who has a port.
func (s *Service) Connect(ctx context.Context, container string, asked ...*networktypes.Endpoint) (err error) {
	s.busy.Lock(container)
	defer func() { _ = s.busy.Unlock(container) }()
	sb, err := s.opened(container)
	if err != nil {
		return err
	}
	added, err := s.admit(sb, asked)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.takeBack(ctx, sb, added))
		}
	}()
	for _, ep := range added {
		if err := s.prepare(ctx, ep); err != nil {
			return err
		}
	}
	if err := sb.save(); err != nil { // before anything is made
		return err
	}
	for _, ep := range added {
		if err := s.plug(ctx, sb, ep); err != nil {
			return fmt.Errorf("connect container %s to network %s: %w", sb.Name, ep.Asked.Network, err)
		}
	}
	if err := s.settle(sb); err != nil {
		return err
	}
	if err := sb.save(); err != nil {
		return err
	}
	for _, ep := range added {
		s.publishEndpoint(eventtypes.ActionConnect, sb, ep)
	}
	return nil
}

// admit adds endpoints to a sandbox, of which nothing is made yet: from then
// on their networks cannot be removed, and static addresses are taken.
func (s *Service) admit(sb *sandbox, asked []*networktypes.Endpoint) ([]*endpoint, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	before := slices.Clone(sb.Endpoints)
	var added []*endpoint
	for _, a := range asked {
		e, err := s.find(a.Network)
		if err == nil && e.removing {
			err = notFound("network %s not found", a.Network)
		}
		if err == nil {
			err = s.admissible(sb, e, a)
		}
		if err != nil {
			sb.Endpoints = before
			return nil, err
		}
		ep := &endpoint{ID: randomID(), NetworkID: e.ID, Asked: *a}
		ep.Asked.EndpointConfig = a.EndpointConfig.Copy()
		if ep.Asked.EndpointConfig == nil {
			ep.Asked.EndpointConfig = &network.EndpointSettings{}
		}
		ep.Asked.Network = e.Name
		added = append(added, ep)
		sb.Endpoints = append(slices.Clone(sb.Endpoints), ep)
	}
	slices.SortFunc(added, byPriority)
	for _, ep := range added {
		if e := s.networks[ep.NetworkID]; e.Driver == driverBridge {
			ep.Interface = sb.freeInterface(e.options.prefix)
		}
	}
	return added, nil
}

// admissible says why a sandbox cannot have an endpoint on a network. The
// caller holds the lock.
func (s *Service) admissible(sb *sandbox, e *entry, asked *networktypes.Endpoint) error {
	if e.Driver == driverHost {
		return forbidden("container cannot be disconnected from host network or connected to host network")
	}
	if sb.on(e.ID) != nil {
		return forbidden("endpoint with name %s already exists in network %s", sb.Name, e.Name)
	}
	if err := checkEndpoint(e, asked.EndpointConfig); err != nil {
		return err
	}
	if _, err := cniArgs(asked.GenericParams); err != nil {
		return err
	}
	for _, v6 := range []bool{false, true} {
		static := staticAddress(asked.EndpointConfig, v6)
		if !static.IsValid() {
			continue
		}
		if sub := e.subnet(v6); static == sub.Gateway || sub.auxiliary(static) {
			return forbidden("Address already in use: %s is the gateway or an auxiliary address of network %s", static, e.Name)
		}
		for _, other := range s.sandboxes {
			if ep := other.on(e.ID); ep != nil && (ep.V4.Addr() == static || ep.V6.Addr() == static || staticAddress(ep.Asked.EndpointConfig, v6) == static) {
				return forbidden("Address already in use: container %s has %s on network %s", other.Name, static, e.Name)
			}
		}
	}
	return nil
}

// byPriority orders a container's endpoints.
func byPriority(a, b *endpoint) int {
	if order := cmp.Compare(b.Asked.Priority, a.Asked.Priority); order != 0 {
		return order
	}
	if order := cmp.Compare(b.Asked.EndpointConfig.GwPriority, a.Asked.EndpointConfig.GwPriority); order != 0 {
		return order
	}
	return strings.Compare(a.Asked.Network, b.Asked.Network)
}

// freeInterface is the first name with that prefix that the sandbox does not
// have yet.
func (sb *sandbox) freeInterface(prefix string) string {
	for i := 0; ; i++ {
		name := prefix + strconv.Itoa(i)
		if !slices.ContainsFunc(sb.Endpoints, func(ep *endpoint) bool { return ep.Interface == name }) {
			return name
		}
	}
}

// prepare makes what an endpoint's network needs, and what CNI is given.
func (s *Service) prepare(ctx context.Context, ep *endpoint) error {
	s.mu.RLock()
	e := s.networks[ep.NetworkID]
	s.mu.RUnlock()
	if e == nil {
		return notFound("network %s not found", ep.Asked.Network)
	}
	if e.Driver != driverBridge {
		return nil
	}
	if err := s.ensureBridge(ctx, e); err != nil {
		return err
	}
	config, err := s.config(e, &ep.Asked)
	if err != nil {
		return err
	}
	ep.Config = config
	ep.Args, err = cniArgs(ep.Asked.GenericParams)
	return err
}

// plug has CNI make an endpoint's interface, and notes what came of it.
func (s *Service) plug(ctx context.Context, sb *sandbox, ep *endpoint) error {
	plugged := *ep
	plugged.Plugged = true
	if ep.Interface != "" {
		result, err := s.programs.add(ctx, sb.attachment(ep))
		if err != nil {
			return err
		}
		if err := plugged.note(result); err != nil {
			return err
		}
	}
	s.mu.Lock()
	if e := s.networks[ep.NetworkID]; e != nil && !e.Internal && ep.Interface != "" {
		plugged.Gateway4 = e.subnet(false).Gateway
		if sub := e.subnet(true); sub != nil {
			plugged.Gateway6 = sub.Gateway
		}
	}
	*ep = plugged
	s.mu.Unlock()
	return sb.save()
}

// note reads CNI's result.
func (ep *endpoint) note(result *current.Result) error {
	for _, i := range result.Interfaces {
		switch {
		case i.Sandbox != "":
			if err := ep.MAC.UnmarshalText([]byte(i.Mac)); err != nil {
				return fmt.Errorf("the CNI program's answer: %w", err)
			}
		case strings.HasPrefix(i.Name, "veth"):
			ep.Host = i.Name
		}
	}
	for _, ip := range result.IPs {
		addr, ok := netip.AddrFromSlice(ip.Address.IP)
		bits, _ := ip.Address.Mask.Size()
		if !ok {
			return fmt.Errorf("the CNI program's answer has the address %v", ip.Address)
		}
		if p := netip.PrefixFrom(addr.Unmap(), bits); p.Addr().Is6() {
			ep.V6 = p
		} else {
			ep.V4 = p
		}
	}
	return nil
}

func (sb *sandbox) attachment(ep *endpoint) attachment {
	return attachment{container: sb.Container, netns: sb.netns(), ifname: ep.Interface, config: ep.Config, args: ep.Args}
}
