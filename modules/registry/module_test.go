package registry_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/fx"
	"go.uber.org/fx/fxtest"
	"go.uber.org/zap"

	"github.com/pouchfx/pouchfx/modules/registry"
	"github.com/pouchfx/pouchfx/plugins"
	"github.com/pouchfx/pouchfx/types"
)

func provided(opts ...fx.Option) fx.Option {
	return fx.Options(append(opts, registry.Module,
		fx.Supply(fx.Annotate(settings{}, fx.As(new(plugins.Settings))), zap.NewNop()))...)
}

// labels is a volume plugin and nothing else.
type labels struct{}

func (labels) PreVolumeCreate(context.Context, *types.VolumeCreateConfig) error { return nil }

func TestAskingForOneKindConstructsNoPluginOfAnother(t *testing.T) {
	constructed := ""
	options := provided(
		plugins.Provide("volume", func(struct{}) (labels, error) { constructed += "volume "; return labels{}, nil }),
		plugins.Provide("daemon", func(struct{}) (plugins.DaemonBase, error) {
			constructed += "daemon "
			return plugins.DaemonBase{}, nil
		}))
	fxtest.New(t, options, fx.Invoke(func(registry.Daemons) {}))
	assert.Equal(t, "daemon ", constructed)

	constructed = ""
	var r *registry.Registry
	fxtest.New(t, options, fx.Invoke(func(plugins.ContainerPlugin) {}), fx.Populate(&r))
	assert.Equal(t, "daemon volume ", constructed, "the registry asks for all")
	assert.Len(t, r.List(), 2)
}

func TestEveryChainIsThereWithoutPlugins(t *testing.T) {
	fxtest.New(t, provided(), fx.Invoke(func(
		a plugins.APIPlugin, c plugins.ContainerPlugin, k plugins.CriPlugin, i plugins.ImagePlugin, v plugins.VolumePlugin, d registry.Daemons,
	) {
		require.NoError(t, c.PreCreate(t.Context(), createConfig()))
		require.NoError(t, k.PreCreateContainer(t.Context(), createConfig(), nil))
		require.NoError(t, i.PostPull(t.Context(), "overlayfs", nil))
		require.NoError(t, v.PreVolumeCreate(t.Context(), &types.VolumeCreateConfig{}))
		assert.Len(t, a.UpdateHandler(t.Context(), get("/a")), 1)
		assert.Empty(t, d)
	}))
}
