package plugins

import (
	"context"
	"io"

	"github.com/pouchfx/pouchfx/networktypes"
	"github.com/pouchfx/pouchfx/types"
)

// ContainerBase has every hook of ContainerPlugin and changes nothing. A
// plugin embeds it and writes only the hooks it needs.
type ContainerBase struct{}

// PreCreate changes nothing.
func (ContainerBase) PreCreate(context.Context, *types.ContainerCreateConfig) error { return nil }

// PreStart changes nothing and asks for no runtime hooks.
func (ContainerBase) PreStart(context.Context, interface{}) ([]int, [][]string, error) {
	return nil, nil, nil
}

// PreCreateEndpoint changes nothing.
func (ContainerBase) PreCreateEndpoint(context.Context, string, []string, *networktypes.Endpoint) error {
	return nil
}

// PreUpdate returns the body it got.
func (ContainerBase) PreUpdate(_ context.Context, body io.ReadCloser) (io.ReadCloser, error) {
	return body, nil
}

// PostUpdate does nothing.
func (ContainerBase) PostUpdate(context.Context, string, []string) error { return nil }

// DaemonBase has both hooks of DaemonPlugin and does nothing.
type DaemonBase struct{}

// PreStartHook does nothing.
func (DaemonBase) PreStartHook() error { return nil }

// PreStopHook does nothing.
func (DaemonBase) PreStopHook() error { return nil }

var (
	_ ContainerPlugin = ContainerBase{}
	_ DaemonPlugin    = DaemonBase{}
)
