package events

import (
	"strings"

	"github.com/moby/moby/api/types/events"

	"github.com/pouchfx/pouchfx/modules/filters"
)

// FilterKeys are the filters that Docker knows for events.
var FilterKeys = []string{
	"config", "container", "daemon", "event", "image", "label", "network",
	"node", "plugin", "scope", "secret", "service", "type", "volume",
}

// Matches reports whether an event passes the filters: all keys that are
// given must agree.
func Matches(f filters.Args, m events.Message) bool {
	action, _, _ := strings.Cut(string(m.Action), ":") // "exec_create: sh" is an exec_create
	return (f.Exact("event", string(m.Action)) || f.Exact("event", action)) &&
		f.Exact("type", string(m.Type)) &&
		f.Exact("scope", m.Scope) &&
		f.Labels(m.Actor.Attributes) &&
		matchesImage(f, m) &&
		matchesActors(f, m)
}

// matchesActors checks the keys that name an object: its type's key must hold
// its id, a prefix of it, or its name, and an event of another type does not
// pass.
func matchesActors(f filters.Args, m events.Message) bool {
	for _, kind := range []events.Type{
		events.ConfigEventType, events.ContainerEventType, events.DaemonEventType, events.NetworkEventType,
		events.NodeEventType, events.PluginEventType, events.SecretEventType, events.ServiceEventType, events.VolumeEventType,
	} {
		key := string(kind)
		if !f.Has(key) {
			continue
		}
		if m.Type != kind {
			return false
		}
		if name := m.Actor.Attributes["name"]; !f.Prefix(key, m.Actor.ID) && (name == "" || !f.Exact(key, name)) {
			return false
		}
	}
	return true
}

// matchesImage checks the key "image", which passes events of the image and
// of its containers, with or without the tag.
func matchesImage(f filters.Args, m events.Message) bool {
	if !f.Has("image") {
		return true
	}
	key := "image"
	if m.Type == events.ImageEventType {
		key = "name"
	} else if m.Type != events.ContainerEventType {
		return false
	}
	name := m.Actor.Attributes[key]
	return f.Exact("image", name) || f.Exact("image", withoutTag(name)) ||
		(m.Type == events.ImageEventType && (f.Exact("image", m.Actor.ID) || f.Exact("image", withoutTag(m.Actor.ID))))
}

func withoutTag(name string) string {
	if i := strings.LastIndexByte(name, ':'); i > strings.LastIndexByte(name, '/') {
		return name[:i]
	}
	return name
}
