package networks

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/containerd/errdefs"
	eventtypes "github.com/moby/moby/api/types/events"
	"github.com/moby/moby/api/types/network"
	"go.uber.org/zap"

	"github.com/pouchfx/pouchfx/modules/filters"
)

// Remove removes a network. The error is an errdefs.ErrNotFound, or an
// errdefs.ErrPermissionDenied when the network is predefined or a running
// container is on it; stopped ones are no hindrance, as with dockerd.
func (s *Service) Remove(_ context.Context, nameOrID string) error {
	e, err := s.release(nameOrID)
	if err != nil {
		return err
	}
	return s.finishRemoval(e)
}

// release marks a network so that nothing is connected to it any more.
func (s *Service) release(nameOrID string) (*entry, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	e, err := s.find(nameOrID)
	if err != nil {
		return nil, err
	}
	if e.predefined() {
		return nil, forbidden("%s is a pre-defined network and cannot be removed", e.Name)
	}
	if e.removing {
		return nil, notFound("network %s not found", nameOrID)
	}
	var users []string
	for _, sb := range s.sandboxes {
		if ep := sb.on(e.ID); ep != nil {
			users = append(users, fmt.Sprintf("name:%q id:%q", sb.Name, ep.ID[:12]))
		}
	}
	if len(users) > 0 {
		slices.Sort(users)
		return nil, forbidden("error while removing network: network %s id %s has active endpoints (%s)", e.Name, e.ID, strings.Join(users, ", "))
	}
	e.removing = true
	return e, nil
}

// finishRemoval removes what was released: its record first, so that the next
// start removes whatever of the rest is left.
func (s *Service) finishRemoval(e *entry) error {
	if err := s.records.Delete(bucket, e.ID); err != nil {
		s.mu.Lock()
		e.removing = false
		s.mu.Unlock()
		return fmt.Errorf("error while removing network: %w", err)
	}
	if err := errors.Join(s.removeBridge(e), s.programs.forgetNetwork(e.ID)); err != nil {
		s.log.Warn("a removed network left something behind; the next start tries again", zap.String("network", e.Name), zap.Error(err))
	}
	s.mu.Lock()
	delete(s.networks, e.ID)
	s.mu.Unlock()
	s.publish(eventtypes.ActionDestroy, e, nil)
	return nil
}

// Prune removes the networks on which no running container is and that pass
// the filters label, label! and until; predefined ones stay.
func (s *Service) Prune(ctx context.Context, f filters.Args) (network.PruneReport, error) {
	report := network.PruneReport{NetworksDeleted: []string{}}
	if err := f.Validate("label", "label!", "until"); err != nil {
		return report, err
	}
	until, err := f.Until(time.Now())
	if err != nil {
		return report, err
	}
	for _, n := range s.prunable(f, until) {
		if err := ctx.Err(); err != nil {
			return report, err
		}
		switch err := s.Remove(ctx, n.ID); {
		case err == nil:
			report.NetworksDeleted = append(report.NetworksDeleted, n.Name)
		case !errdefs.IsNotFound(err) && !errdefs.IsPermissionDenied(err): // not gone or taken meanwhile
			return report, err
		}
	}
	s.bus.Publish(eventtypes.Message{Type: eventtypes.NetworkEventType, Action: eventtypes.ActionPrune,
		Actor: eventtypes.Actor{Attributes: map[string]string{"reclaimed": "0"}}})
	return report, nil
}

func (s *Service) prunable(f filters.Args, until time.Time) []Network {
	s.mu.RLock()
	defer s.mu.RUnlock()
	var found []Network
	for _, e := range s.networks {
		if !e.predefined() && !s.inUse(e.ID) && f.Labels(e.Labels) && (until.IsZero() || e.Created.Before(until)) {
			found = append(found, Network{ID: e.ID, Name: e.Name, Driver: e.Driver})
		}
	}
	slices.SortFunc(found, func(a, b Network) int { return strings.Compare(a.Name, b.Name) })
	return found
}
