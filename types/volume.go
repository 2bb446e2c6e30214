package types

import "github.com/moby/moby/api/types/volume"

// VolumeCreateConfig is the body of POST /volumes/create, what the
// PreVolumeCreate hook changes.
type VolumeCreateConfig = volume.CreateRequest
