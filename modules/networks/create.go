package networks

import (
	"context"
	"errors"
	"maps"
	"regexp"
	"sync"
	"time"

	eventtypes "github.com/moby/moby/api/types/events"
	"github.com/moby/moby/api/types/network"
)

// Create makes a network and its device. The error is an errdefs.ErrConflict
// when the name is taken, an errdefs.ErrInvalidArgument or ErrNotImplemented
// when the request cannot be met, and an errdefs.ErrPermissionDenied, as
// dockerd has it, when the subnet is not free.
func (s *Service) Create(ctx context.Context, c network.CreateRequest) (network.CreateResponse, error) {
	var none network.CreateResponse
	r, err := parseRequest(&c)
	if err != nil {
		return none, err
	}
	e, err := newEntry(r)
	if err != nil {
		return none, err
	}
	// One at a time: each must see what the others took.
	s.creating.Lock()
	defer s.creating.Unlock()
	if err := s.checkNew(e); err != nil {
		return none, err
	}
	if err := s.records.Put(bucket, e.ID, e.record); err != nil {
		return none, err
	}
	s.mu.Lock()
	s.networks[e.ID] = e
	s.mu.Unlock()
	if err := s.ensureBridge(ctx, e); err != nil {
		return none, errors.Join(err, s.discard(e))
	}
	s.publish(eventtypes.ActionCreate, e, nil)
	return network.CreateResponse{ID: e.ID}, nil
}

// checkNew looks for networks that a new one cannot be beside.
func (s *Service) checkNew(e *entry) error {
	s.mu.RLock()
	defer s.mu.RUnlock()
	for _, other := range s.networks {
		if other.Name == e.Name {
			return conflict("network with name %s already exists", e.Name)
		}
		if other.Driver == driverBridge && other.bridge() == e.bridge() {
			return forbidden("conflicts with network %s (%s): networks have same bridge name", other.ID, other.Name)
		}
		for _, p := range e.prefixes() {
			if overlaps(p, other.prefixes()) {
				return forbidden("invalid pool request: Pool overlaps with other one on this address space: network %s has %s", other.Name, other.prefixes())
			}
		}
	}
	return nil
}

// discard removes every trace of a network.
func (s *Service) discard(e *entry) error {
	s.mu.Lock()
	e.removing = true
	s.mu.Unlock()
	err := errors.Join(s.removeBridge(e), s.records.Delete(bucket, e.ID), s.programs.forgetNetwork(e.ID))
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.networks, e.ID)
	return err
}

// validName is Docker's pattern of names.
var validName = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[a-zA-Z0-9][a-zA-Z0-9_.-]*$`) })

// parseRequest makes a record of what a client asks for.
func parseRequest(c *network.CreateRequest) (record, error) {
	r := record{ID: randomID(), Name: c.Name, Driver: driverBridge, Created: time.Now().UTC(), Internal: c.Internal, Attachable: c.Attachable,
		Options: maps.Clone(c.Options), Labels: maps.Clone(c.Labels)}
	switch {
	case c.Name == "":
		return r, invalid("invalid network name: it is empty")
	case len(c.Name) > 255 || !validName().MatchString(c.Name):
		return r, invalid("invalid network name %q: up to 255 characters of [a-zA-Z0-9_.-] are allowed, and a letter or digit as the first", c.Name)
	case (&record{Name: c.Name}).predefined() || c.Name == network.NetworkDefault:
		return r, forbidden("operation is not permitted on predefined %s network", c.Name)
	case c.Driver == driverHost || c.Driver == driverNull:
		return r, forbidden("only one instance of %q network is allowed", c.Driver)
	case c.Driver != "" && c.Driver != driverBridge && c.Driver != network.NetworkDefault:
		return r, unsupported("the network driver %q is not supported: this daemon has the driver %q", c.Driver, driverBridge)
	case c.Scope != "" && c.Scope != "local":
		return r, unsupported("networks of scope %q are not supported: this daemon has the scope \"local\"", c.Scope)
	case c.Ingress:
		return r, unsupported("ingress networks are not supported: this daemon has no swarm")
	case c.ConfigOnly || c.ConfigFrom != nil && c.ConfigFrom.Network != "":
		return r, unsupported("config-only networks are not supported by this daemon")
	case c.EnableIPv4 != nil && !*c.EnableIPv4:
		return r, unsupported("networks without IPv4 are not supported by this daemon")
	case c.Options[optionDefault] != "":
		return r, forbidden("the option %s is for the predefined bridge network", optionDefault)
	}
	r.IPv6 = c.EnableIPv6 != nil && *c.EnableIPv6
	if c.IPAM != nil {
		r.IPAMOptions = maps.Clone(c.IPAM.Options)
	}
	var err error
	r.Subnets, err = parseIPAM(c.IPAM, r.IPv6)
	return r, err
}
