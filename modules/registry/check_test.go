package registry_test

import (
	"context"
	"errors"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pouchfx/pouchfx/modules/registry"
	"github.com/pouchfx/pouchfx/types"
)

func TestAChangeThatTheFrontEndCannotCarryIsItsPluginsFailure(t *testing.T) {
	sets := func(host string) *plugin {
		return &plugin{preCreate: func(_ context.Context, c *types.ContainerCreateConfig) error {
			c.Hostname += host
			return nil
		}}
	}
	ctx := registry.Checking(t.Context(), func(c *types.ContainerCreateConfig) error {
		if c.Hostname != "" {
			return errors.New("Hostname is the pod's")
		}
		return nil
	})
	config := createConfig()
	c := containersOf(t, reg("a", sets("")), reg("b", sets("b")), reg("c", sets("c")))
	assert.EqualError(t, c.PreCreate(ctx, config), `plugin "b": PreCreate: Hostname is the pod's`)
	assert.Empty(t, config.Hostname)

	t.Run("and is dropped where the policy says so", func(t *testing.T) {
		config := createConfig()
		c := containersOf(t, reg("a", sets("")), reg("b", sets("b"), ignore))
		require.NoError(t, c.PreCreate(ctx, config))
		assert.Empty(t, config.Hostname)
	})
}
