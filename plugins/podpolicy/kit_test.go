package podpolicy_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/pouchfx/pouchfx/modules/config"
	"github.com/pouchfx/pouchfx/plugins"
	"github.com/pouchfx/pouchfx/plugins/podpolicy"
	"github.com/pouchfx/pouchfx/types"
)

// read decodes a section as the daemon does.
func read(t testing.TB, section string) (podpolicy.Config, error) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "config.yaml")
	require.NoError(t, os.WriteFile(file, []byte("plugins:\n  podpolicy:\n"+section), 0o600))
	c, err := config.Load(file, nil, nil)
	require.NoError(t, err)
	var decoded podpolicy.Config
	policy := plugins.DefaultPolicy()
	err = c.Plugin("podpolicy", &policy, &decoded)
	return decoded, err
}

func newPlugin(t testing.TB, section string) *podpolicy.Plugin {
	t.Helper()
	c, err := read(t, section)
	require.NoError(t, err)
	p, err := podpolicy.New(c)
	require.NoError(t, err)
	return p
}

func container() *types.ContainerCreateConfig {
	c := &types.ContainerCreateConfig{HostConfig: &types.HostConfig{}, NetworkingConfig: &types.NetworkingConfig{}}
	c.Image = "registry.example.com/shop/web:1.2"
	return c
}

var shop = &types.SandboxMeta{Name: "web-0", Namespace: "shop", Labels: map[string]string{"tier": "front"}}
