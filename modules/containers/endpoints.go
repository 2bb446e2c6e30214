package containers

import (
	"cmp"
	"context"
	"maps"
	"slices"

	"github.com/moby/moby/api/types/network"

	"github.com/pouchfx/pouchfx/modules/networks"
	"github.com/pouchfx/pouchfx/networktypes"
	"github.com/pouchfx/pouchfx/types"
)

// ownsNetwork tells whether a container is on networks of its own, be they
// none at the moment: it does not share a namespace, nor asks to be alone.
func (r *record) ownsNetwork() bool {
	mode := r.HostConfig.NetworkMode
	return !mode.IsHost() && !mode.IsNone() && !mode.IsContainer() && !r.Config.NetworkDisabled
}

// endpoints makes those of one start from the container's record, as the hooks
// of plugins leave them.
func (s *Service) endpoints(ctx context.Context, c *ctr, env []string) ([]*networktypes.Endpoint, error) {
	asked := c.record().NetworkingConfig.EndpointsConfig
	list := make([]*networktypes.Endpoint, 0, len(asked))
	for _, name := range slices.Sorted(maps.Keys(asked)) {
		n, err := s.Networks.Find(name)
		if err != nil {
			return nil, err
		}
		e, err := s.endpoint(ctx, c, env, n, asked[name])
		if err != nil {
			return nil, err
		}
		list = append(list, e)
	}
	slices.SortStableFunc(list, func(a, b *networktypes.Endpoint) int { return cmp.Compare(b.Priority, a.Priority) })
	return list, nil
}

// endpoint makes one, with everything set before the hooks see it.
func (s *Service) endpoint(ctx context.Context, c *ctr, env []string, n networks.Network, asked *network.EndpointSettings) (*networktypes.Endpoint, error) {
	if asked == nil {
		asked = &network.EndpointSettings{}
	}
	if err := s.Networks.Check(n, asked); err != nil { // the network may have come after the container
		return nil, err
	}
	h := &c.record().HostConfig
	e := &networktypes.Endpoint{
		Owner: c.id, Network: n.Name, EndpointConfig: asked.Copy(), Priority: asked.GwPriority,
		DNS: slices.Clone(h.DNS), DNSSearch: slices.Clone(h.DNSSearch), DNSOptions: slices.Clone(h.DNSOptions),
		GenericParams: map[string]any{},
	}
	e.EndpointConfig.NetworkID = n.ID
	if err := s.Hooks.PreCreateEndpoint(ctx, c.id, env, e); err != nil {
		return nil, err
	}
	e.Owner, e.Network, e.EndpointConfig.NetworkID = c.id, n.Name, n.ID // not for plugins to choose
	return e, s.Networks.Check(n, e.EndpointConfig)
}

// sandbox describes the namespace for a container. Names are looked up in one
// way in the whole of it: what hooks changed about that is taken from the
// endpoints, the first of which has the last word.
func sandbox(c *ctr, start *types.Container, endpoints []*networktypes.Endpoint) networks.Sandbox {
	r := c.record()
	h := &r.HostConfig
	box := networks.Sandbox{
		Container: c.id, Name: r.Name, Hostname: start.Config.Hostname, Ports: publishedPorts(r),
		DNS: h.DNS, DNSSearch: h.DNSSearch, DNSOptions: h.DNSOptions,
	}
	for _, e := range slices.Backward(endpoints) {
		box.DNS = ifChanged(e.DNS, h.DNS, box.DNS)
		box.DNSSearch = ifChanged(e.DNSSearch, h.DNSSearch, box.DNSSearch)
		box.DNSOptions = ifChanged(e.DNSOptions, h.DNSOptions, box.DNSOptions)
		e.DNS, e.DNSSearch, e.DNSOptions = nil, nil, nil
	}
	return box
}

// ifChanged is what a hook made of a setting, or else what holds otherwise.
func ifChanged[T comparable](made, asked, otherwise []T) []T {
	if slices.Equal(made, asked) {
		return otherwise
	}
	return made
}
