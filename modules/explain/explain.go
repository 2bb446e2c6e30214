// Package explain keeps with a container who changed it: what the hooks of
// plugins did when it was created, started and updated. It is kept as an
// extension of containerd's record of the container, for Docker's and for
// CRI's alike, and goes with it.
package explain

import (
	"github.com/containerd/typeurl/v2"

	"github.com/pouchfx/pouchfx/modules/registry"
)

// Extension is the key of the explanation among the extensions of a container.
const Extension = "pouchfx.explain"

// Explanation is what plugins did to a container.
type Explanation struct {
	// Create is what PreCreateContainer, PreCreate, and PreVolumeCreate for
	// the volumes that it implied, did.
	Create []registry.Change
	// Start is what PreStart and PreCreateEndpoint did at the last start and
	// at connects since.
	Start []registry.Change `json:",omitempty"`
	// Update is what PreUpdate did, at the last updates.
	Update []registry.Change `json:",omitempty"`
	// Forgotten counts the changes that were dropped to stay within bounds.
	Forgotten int `json:",omitempty"`
}

// Encode makes the extension; nil when there is nothing to tell.
func (e *Explanation) Encode() (typeurl.Any, error) { return nil, nil }

// Decode reads it from the extensions of a container. Without one, as for
// containers of older versions, the explanation is empty and known is false.
func Decode(extensions map[string]typeurl.Any) (e *Explanation, known bool, err error) {
	return &Explanation{}, false, nil
}
