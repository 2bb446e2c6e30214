package hookplugins

import (
	"cmp"
	"context"

	"github.com/pouchfx/pouchfx/plugins"
	"github.com/pouchfx/pouchfx/types"
)

// Volume returns p as a plugin of today. Its hook is
//
//	PreVolumeCreate(*types.VolumeCreateConfig) error
//
// with or without a context.Context as its first argument.
func Volume(p any) (plugins.VolumePlugin, error) {
	switch p := p.(type) {
	case plugins.VolumePlugin:
		return p, nil
	case oldVolume:
		return volume{adapted{p}, p}, nil
	}
	return nil, cmp.Or(odd(p, "PreVolumeCreate", "func(*types.VolumeCreateConfig) error"), none(p, "PreVolumeCreate"))
}

type oldVolume interface {
	PreVolumeCreate(*types.VolumeCreateConfig) error
}

type volume struct {
	adapted
	old oldVolume
}

func (v volume) PreVolumeCreate(_ context.Context, config *types.VolumeCreateConfig) error {
	return v.old.PreVolumeCreate(config)
}
