package images

import (
	"maps"

	"github.com/distribution/reference"
	"github.com/moby/moby/api/types/events"
)

// publish tells what happened to an image, with its labels as dockerd does.
// By dockerd's custom the attribute "name" is the reference of a tag, and the
// ID of an image that was untagged, deleted, loaded, saved or imported.
func (s *Service) publish(action events.Action, i *Image, name string) {
	s.bus.Image(action, i.ID.String(), attributes(i, name))
}

// publishTransfer tells that an image came from a registry or went to one:
// such events are about the reference.
func (s *Service) publishTransfer(action events.Action, i *Image, ref reference.Named) {
	s.bus.Image(action, reference.FamiliarString(ref), attributes(i, reference.FamiliarName(ref)))
}

func attributes(i *Image, name string) map[string]string {
	all := make(map[string]string, len(i.Config.Labels)+1)
	maps.Copy(all, i.Config.Labels)
	all["name"] = name
	return all
}
