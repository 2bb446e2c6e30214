package containers

import (
	"context"
	"fmt"
	"maps"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/api/types/network"

	"github.com/pouchfx/pouchfx/modules/explain"
	"github.com/pouchfx/pouchfx/modules/networks"
	"github.com/pouchfx/pouchfx/modules/registry"
)

// Connect puts a container on a network: at once when it runs, else at its next
// start. settings may be nil. When it fails, everything is as before.
func (s *Service) Connect(ctx context.Context, name, networkName string, settings *network.EndpointSettings) error {
	c, n, err := s.containerAndNetwork(name, networkName)
	if err != nil {
		return err
	}
	if settings == nil {
		settings = &network.EndpointSettings{}
	}
	if err := s.lockForChange(ctx, c); err != nil {
		return err
	}
	defer c.op.unlock()
	if err := connectable(c.record(), n); err != nil {
		return err
	}
	if err := s.Networks.Check(n, settings); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(s.Engine.Context(context.WithoutCancel(about(ctx, c))), startTimeout)
	defer cancel()
	if c.current() == nil {
		return s.saveEndpoint(ctx, c, n.Name, settings)
	}
	if _, there := c.record().NetworkingConfig.EndpointsConfig[n.Name]; there {
		return errdefs.ErrPermissionDenied.WithMessage(fmt.Sprintf("endpoint with name %s already exists in network %s", c.record().Name, n.Name))
	}
	ctx, hooks := registry.Begin(ctx)
	err = s.connectRunning(ctx, c, n, settings)
	s.explain(ctx, c, hooks, func(e *explain.Explanation, changes []registry.Change) { e.Connect = append(e.Connect, changes...) })
	return err
}

func (s *Service) connectRunning(ctx context.Context, c *ctr, n networks.Network, settings *network.EndpointSettings) error {
	e, err := s.endpoint(ctx, c, c.record().Config.Env, n, settings)
	if err != nil {
		return err
	}
	h := &c.record().HostConfig
	e.DNS, e.DNSSearch, e.DNSOptions = ifChanged(e.DNS, h.DNS, nil), ifChanged(e.DNSSearch, h.DNSSearch, nil), ifChanged(e.DNSOptions, h.DNSOptions, nil)
	before := s.Networks.Names(c.id)
	if err := s.Networks.Connect(ctx, c.id, e); err != nil {
		return err
	}
	if err := s.saveEndpoint(ctx, c, n.Name, settings); err != nil {
		var undo undoList
		undo.add("network", func(ctx context.Context) error { return s.Networks.Disconnect(ctx, c.id, n.Name, true) })
		undo.run(s.background, s.Log)
		return err
	}
	s.renewNames(c, before)
	return nil
}

// Disconnect takes a container from a network. With force it forgets a network
// that is not there any more, too.
func (s *Service) Disconnect(ctx context.Context, name, networkName string, force bool) error {
	c, err := s.index.get(name)
	if err != nil {
		return err
	}
	n, err := s.Networks.Find(networkName)
	switch {
	case err == nil:
		networkName = n.Name
	case !force || !errdefs.IsNotFound(err):
		return err
	}
	if err := s.lockForChange(ctx, c); err != nil {
		return err
	}
	defer c.op.unlock()
	r := c.record()
	if r.HostConfig.NetworkMode.IsHost() && networkName == network.NetworkHost {
		return invalid("cannot disconnect container from host network - container was created in host network mode")
	}
	if _, there := r.NetworkingConfig.EndpointsConfig[networkName]; !there {
		return notFound("container %s is not connected to network %s", c.id, networkName)
	}
	ctx, cancel := context.WithTimeout(s.Engine.Context(context.WithoutCancel(ctx)), startTimeout)
	defer cancel()
	if c.current() != nil {
		before := s.Networks.Names(c.id)
		// A container that is just ending has lost its networks already.
		if err := s.Networks.Disconnect(ctx, c.id, networkName, force); err != nil && !errdefs.IsNotFound(err) {
			return err
		}
		s.renewNames(c, before)
	}
	// The interface is gone: what cannot be saved is as it was at the next start.
	return s.saveEndpoint(ctx, c, networkName, nil)
}

func (s *Service) containerAndNetwork(name, networkName string) (*ctr, networks.Network, error) {
	c, err := s.index.get(name)
	if err != nil {
		return nil, networks.Network{}, err
	}
	n, err := s.Networks.Find(networkName)
	return c, n, err
}

// lockForChange takes the operation lock of a container that stays, and whose
// last run is tidied away if it has ended.
func (s *Service) lockForChange(ctx context.Context, c *ctr) error {
	if err := c.op.lock(ctx); err != nil {
		return err
	}
	err := func() error {
		c.mu.Lock()
		removing := c.removing
		c.mu.Unlock()
		if removing {
			return conflict("Container %s is marked for removal and cannot be connected or disconnected to the network", c.id)
		}
		if c.current() == nil {
			return c.tidied(ctx)
		}
		return nil
	}()
	if err != nil {
		c.op.unlock()
	}
	return err
}

// connectable says why a container cannot be put on a network, in dockerd's
// words.
func connectable(r *record, n networks.Network) error {
	mode := r.HostConfig.NetworkMode
	switch {
	case n.Driver == "host":
		return invalid("cannot connect container to host network - container must be created in host network mode")
	case mode.IsContainer(), mode.IsHost():
		return invalid("%s", sharedNetwork)
	case mode.IsNone(), n.Driver == "null":
		return invalid("%s", noNetwork)
	case r.Config.NetworkDisabled:
		return invalid("container has no network: it was created with NetworkDisabled")
	}
	return nil
}

// saveEndpoint writes down that a container is on a network; nil settings say
// that it is not.
func (s *Service) saveEndpoint(ctx context.Context, c *ctr, networkName string, settings *network.EndpointSettings) error {
	return s.change(ctx, c, nil, func(r *record) {
		endpoints := maps.Clone(r.NetworkingConfig.EndpointsConfig)
		if endpoints == nil {
			endpoints = map[string]*network.EndpointSettings{}
		}
		if endpoints[networkName] = settings; settings == nil {
			delete(endpoints, networkName)
		}
		r.NetworkingConfig.EndpointsConfig = endpoints
	})
}
