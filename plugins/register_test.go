package plugins

import (
	"context"
	"testing"

	containerd "github.com/containerd/containerd/v2/client"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pouchfx/pouchfx/types"
)

// clean gives a test a process in which nothing is registered.
func clean(t *testing.T) {
	t.Helper()
	before := registered.list
	registered.list = nil
	t.Cleanup(func() { registered.list = before })
}

type seed struct {
	ContainerBase
	DaemonBase
}

func TestWhatIsRegisteredIsKeptInOrderUnderTheNameOfItsType(t *testing.T) {
	clean(t)
	assert.Nil(t, GetContainerPlugin())
	RegisterContainerPlugin(&seed{})
	RegisterContainerPlugin(ContainerBase{})
	RegisterContainerPlugin(ContainerBase{})

	list := Registered()
	require.Len(t, list, 3)
	assert.Equal(t, "plugins.seed", list[0].Name)
	assert.Equal(t, "plugins.ContainerBase", list[1].Name)
	assert.Equal(t, "plugins.ContainerBase#02", list[2].Name)
	assert.Equal(t, DefaultPolicy(), list[0].Policy)
	assert.Contains(t, list[0].Origin, "TestWhatIsRegistered")
	assert.Contains(t, list[0].Origin, "register_test.go:")
	assert.Equal(t, ContainerBase{}, GetContainerPlugin(), "the last one")
}

func TestAnInstanceRegisteredUnderTwoKindsIsOnePlugin(t *testing.T) {
	clean(t)
	p := &instance{id: 1}
	RegisterDaemonPlugin(p)
	RegisterContainerPlugin(p)
	RegisterContainerPlugin(p)
	list := Registered()
	require.Len(t, list, 2, "registering twice under one kind keeps both")
	assert.Equal(t, []Kind{KindContainer, KindDaemon}, list[0].Kinds)
	assert.Same(t, p, GetDaemonPlugin())

	list[0].Kinds[0] = KindCri
	assert.Equal(t, KindContainer, Registered()[0].Kinds[0], "the list is a copy")
}

// instance has a size, so that two of it are two instances.
type instance struct {
	ContainerBase
	DaemonBase
	id int
}

// everything is of all kinds.
type everything struct{ instance }

func (*everything) UpdateHandler(context.Context, []*types.HandlerSpec) []*types.HandlerSpec {
	return nil
}
func (*everything) PreCreateContainer(context.Context, *types.ContainerCreateConfig, any) error {
	return nil
}
func (*everything) PostPull(context.Context, string, containerd.Image) error { return nil }
func (*everything) PreVolumeCreate(context.Context, *types.VolumeCreateConfig) error {
	return nil
}

func TestEachKindHasItsRegisterAndGet(t *testing.T) {
	clean(t)
	p := &everything{}
	RegisterVolumePlugin(p)
	RegisterImagePlugin(p)
	RegisterDaemonPlugin(p)
	RegisterCriPlugin(p)
	RegisterContainerPlugin(p)
	RegisterAPIPlugin(p)
	assert.Same(t, p, GetAPIPlugin())
	assert.Same(t, p, GetContainerPlugin())
	assert.Same(t, p, GetCriPlugin())
	assert.Same(t, p, GetDaemonPlugin())
	assert.Same(t, p, GetImagePlugin())
	assert.Same(t, p, GetVolumePlugin())
	require.Len(t, Registered(), 1)
	assert.Equal(t, Kinds(), Registered()[0].Kinds)
}
