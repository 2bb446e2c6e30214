package hookplugins

import (
	"cmp"
	"context"

	"github.com/pouchfx/pouchfx/plugins"
	"github.com/pouchfx/pouchfx/types"
)

// Cri returns p as a plugin of today. Its hook is
//
//	PreCreateContainer(*types.ContainerCreateConfig, interface{}) error
//
// with or without a context.Context as its first argument.
func Cri(p any) (plugins.CriPlugin, error) {
	switch p := p.(type) {
	case plugins.CriPlugin:
		return p, nil
	case oldCri:
		return cri{adapted{p}, p}, nil
	}
	return nil, cmp.Or(odd(p, "PreCreateContainer", "func(*types.ContainerCreateConfig, interface{}) error"), none(p, "PreCreateContainer"))
}

type oldCri interface {
	PreCreateContainer(*types.ContainerCreateConfig, interface{}) error
}

type cri struct {
	adapted
	old oldCri
}

func (c cri) PreCreateContainer(_ context.Context, config *types.ContainerCreateConfig, sandbox interface{}) error {
	return c.old.PreCreateContainer(config, sandbox)
}
