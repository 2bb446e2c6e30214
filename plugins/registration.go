package plugins

import (
	"reflect"
	"slices"
)

// Kind names one of the six plugin interfaces.
type Kind string

// The kinds, in the order in which they are listed everywhere.
const (
	KindAPI       Kind = "api"
	KindContainer Kind = "container"
	KindCri       Kind = "cri"
	KindDaemon    Kind = "daemon"
	KindImage     Kind = "image"
	KindVolume    Kind = "volume"
)

var kinds = []struct {
	kind Kind
	typ  reflect.Type
}{
	{KindAPI, reflect.TypeFor[APIPlugin]()},
	{KindContainer, reflect.TypeFor[ContainerPlugin]()},
	{KindCri, reflect.TypeFor[CriPlugin]()},
	{KindDaemon, reflect.TypeFor[DaemonPlugin]()},
	{KindImage, reflect.TypeFor[ImagePlugin]()},
	{KindVolume, reflect.TypeFor[VolumePlugin]()},
}

// Kinds returns all kinds in their order.
func Kinds() []Kind {
	all := make([]Kind, len(kinds))
	for i, k := range kinds {
		all[i] = k.kind
	}
	return all
}

// kindsOf returns the kinds that a type implements.
func kindsOf(t reflect.Type) []Kind {
	var implemented []Kind
	for _, k := range kinds {
		if t.Implements(k.typ) {
			implemented = append(implemented, k.kind)
		}
	}
	return implemented
}

// Registration is one plugin as the registry gets it: the member of the value
// groups of all its kinds, the same pointer in each.
type Registration struct {
	// Name is unique in a daemon.
	Name string
	// Kinds are the interfaces that the plugin implements.
	Kinds []Kind
	// Policy is the effective one.
	Policy Policy
	// Origin is the function that provided or registered the plugin, with
	// file and line.
	Origin string
	// Plugin is the instance; nil when the plugin is disabled or failed.
	Plugin any
	// Err says why an optional plugin could not be constructed.
	Err error
}

// Is reports whether the plugin is of a kind.
func (r *Registration) Is(k Kind) bool { return slices.Contains(r.Kinds, k) }
