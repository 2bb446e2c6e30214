package networks

import (
	"maps"

	eventtypes "github.com/moby/moby/api/types/events"
)

// publish tells what happened to a network.
func (s *Service) publish(action eventtypes.Action, e *entry, attributes map[string]string) {
	actor := eventtypes.Actor{ID: e.ID, Attributes: map[string]string{"name": e.Name, "type": e.Driver}}
	maps.Copy(actor.Attributes, attributes)
	s.bus.Publish(eventtypes.Message{Type: eventtypes.NetworkEventType, Action: action, Actor: actor})
}
