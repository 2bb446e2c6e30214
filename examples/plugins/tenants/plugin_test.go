package tenants

import (
	"testing"

	"github.com/containerd/errdefs"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pouchfx/pouchfx/types"
)

func TestContainersGetTheTenantOfTheirNamespace(t *testing.T) {
	p, err := New(Config{Namespaces: map[string]string{"shop": "blue"}})
	require.NoError(t, err)
	c := &types.ContainerCreateConfig{}
	require.NoError(t, p.PreCreateContainer(t.Context(), c, &types.SandboxMeta{Namespace: "shop"}))
	assert.Equal(t, []string{"TENANT=blue"}, c.Env)
	assert.Equal(t, map[string]string{"example.org/tenant": "blue"}, c.Labels)
}

func TestOtherNamespaces(t *testing.T) {
	strict, err := New(Config{})
	require.NoError(t, err)
	err = strict.PreCreateContainer(t.Context(), &types.ContainerCreateConfig{}, &types.SandboxMeta{Namespace: "none"})
	assert.True(t, errdefs.IsPermissionDenied(err), err)
	assert.ErrorContains(t, err, `namespace "none" belongs to no tenant`)

	lenient, err := New(Config{Others: true})
	require.NoError(t, err)
	c := &types.ContainerCreateConfig{}
	require.NoError(t, lenient.PreCreateContainer(t.Context(), c, &types.SandboxMeta{Namespace: "none"}))
	assert.Equal(t, &types.ContainerCreateConfig{}, c)
	assert.Error(t, lenient.PreCreateContainer(t.Context(), c, "no sandbox"))
}
