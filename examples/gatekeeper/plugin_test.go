package gatekeeper

import (
	"testing"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/client"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pouchfx/pouchfx/plugins/plugintest"
)

// The test binary plays the parts of the daemon's binary, too.
func TestMain(m *testing.M) { plugintest.Main(m) }

func TestThePluginKeepsTheContract(t *testing.T) {
	plugintest.Run(t, Module)
}

func TestOnlyKnownRegistriesPass(t *testing.T) {
	p, err := New(Config{Registries: []string{"docker.io", "registry.example.org:5000"}})
	require.NoError(t, err)
	for image, passes := range map[string]bool{
		"busybox": true, "docker.io/library/busybox:1": true, "registry.example.org:5000/team/web": true,
		"registry.example.org/team/web": false, "quay.io/team/web:2": false, "": true,
	} {
		c := plugintest.CreateConfig()
		c.Image = image
		err := p.PreCreate(plugintest.Context(t.Context()), c)
		assert.Equal(t, passes, err == nil, image)
		assert.Equal(t, !passes, errdefs.IsPermissionDenied(err), image)
	}
	assert.Len(t, p.refused, 2)
}

func TestARegistryIsAHost(t *testing.T) {
	_, err := New(Config{Registries: []string{"docker.io/library"}})
	assert.ErrorContains(t, err, `registry "docker.io/library": write a host`)
}

// As root, the plugin is tried in a whole daemon.
func TestInADaemon(t *testing.T) {
	d := plugintest.DaemonWith(t, "plugins: {gatekeeper: {registries: [docker.io]}}", Module)
	assert.Equal(t, "in\n", d.Output(t, "echo in"))
	_, err := d.Client.ContainerCreate(t.Context(), client.ContainerCreateOptions{Image: "quay.io/team/web"})
	assert.True(t, errdefs.IsPermissionDenied(err), "%v", err)
	assert.ErrorContains(t, err, `plugin "gatekeeper": PreCreate: images of quay.io are not allowed here, only those of docker.io`)
}
