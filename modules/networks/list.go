package networks

import (
	"context"
	"slices"
	"strings"

	"github.com/moby/moby/api/types/network"

	"github.com/pouchfx/pouchfx/modules/filters"
)

// Find returns the network of a name, an id or the unique beginning of an id.
// The error is an errdefs.ErrNotFound, or an errdefs.ErrInvalidArgument when
// several networks' ids begin so.
func (s *Service) Find(nameOrID string) (Network, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	e, err := s.find(nameOrID)
	if err != nil {
		return Network{}, err
	}
	return Network{ID: e.ID, Name: e.Name, Driver: e.Driver}, nil
}

// find is Find. The caller holds the lock.
func (s *Service) find(nameOrID string) (*entry, error) {
	if e, ok := s.networks[nameOrID]; ok {
		return e, nil
	}
	var found []*entry
	for id, e := range s.networks {
		if e.Name == nameOrID {
			return e, nil
		}
		if nameOrID != "" && strings.HasPrefix(id, nameOrID) {
			found = append(found, e)
		}
	}
	switch len(found) {
	case 0:
		return nil, notFound("network %s not found", nameOrID)
	case 1:
		return found[0], nil
	}
	return nil, invalid("network %s is ambiguous (%d matches found based on ID prefix)", nameOrID, len(found))
}

// Inspect describes a network and the containers that are connected to it.
func (s *Service) Inspect(_ context.Context, nameOrID string) (network.Inspect, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	e, err := s.find(nameOrID)
	if err != nil {
		return network.Inspect{}, err
	}
	found := network.Inspect{Network: e.describe(), Containers: map[string]network.EndpointResource{}}
	for id, sb := range s.sandboxes {
		if ep := sb.on(e.ID); ep != nil {
			found.Containers[id] = network.EndpointResource{
				Name: sb.Name, EndpointID: ep.ID, MacAddress: ep.MAC, IPv4Address: ep.V4, IPv6Address: ep.V6,
			}
		}
	}
	return found, nil
}

// List returns the networks that pass the filters dangling, driver, id, label,
// name, scope and type, newest first as dockerd does. Which containers are
// connected only Inspect tells.
func (s *Service) List(_ context.Context, f filters.Args) ([]network.Inspect, error) {
	if err := f.Validate("dangling", "driver", "id", "label", "name", "scope", "type"); err != nil {
		return nil, err
	}
	dangling, err := f.Bool("dangling", false)
	if err != nil {
		return nil, err
	}
	for _, kind := range f.Get("type") {
		if kind != "builtin" && kind != "custom" {
			return nil, invalid("invalid filter 'type=%s': use builtin or custom", kind)
		}
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	found := []network.Inspect{}
	for _, e := range s.networks {
		kind := "custom"
		if e.predefined() {
			kind = "builtin"
		}
		if f.Has("dangling") && dangling != (!e.predefined() && !s.inUse(e.ID)) {
			continue
		}
		if f.Match("name", e.Name) && f.Match("id", e.ID) && f.Exact("driver", e.Driver) &&
			f.Exact("scope", "local") && f.Exact("type", kind) && f.Labels(e.Labels) {
			found = append(found, network.Inspect{Network: e.describe(), Containers: map[string]network.EndpointResource{}})
		}
	}
	slices.SortFunc(found, func(a, b network.Inspect) int {
		if order := b.Created.Compare(a.Created); order != 0 {
			return order
		}
		return strings.Compare(a.ID, b.ID)
	})
	return found, nil
}

// InUse reports whether a container with a sandbox is on the network.
func (s *Service) InUse(networkID string) bool {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.inUse(networkID)
}

func (s *Service) inUse(networkID string) bool {
	for _, sb := range s.sandboxes {
		if sb.on(networkID) != nil {
			return true
		}
	}
	return false
}

// plugged reports whether a container has an interface on the network.
func (s *Service) plugged(networkID string) bool {
	s.mu.RLock()
	defer s.mu.RUnlock()
	for _, sb := range s.sandboxes {
		if ep := sb.on(networkID); ep != nil && ep.Plugged {
			return true
		}
	}
	return false
}
