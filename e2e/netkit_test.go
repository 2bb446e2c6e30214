package e2e

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/moby/moby/api/types/container"
	networktypes "github.com/moby/moby/api/types/network"
	"github.com/moby/moby/client"
	"github.com/stretchr/testify/require"
)

// network has a container use a network mode.
func network(mode string) spec {
	return host(func(h *container.HostConfig) { h.NetworkMode = container.NetworkMode(mode) })
}

// endpoint says what a container wants of a network.
func endpoint(name string, e *networktypes.EndpointSettings) spec {
	return func(o *client.ContainerCreateOptions) {
		if o.NetworkingConfig == nil {
			o.NetworkingConfig = &networktypes.NetworkingConfig{EndpointsConfig: map[string]*networktypes.EndpointSettings{}}
		}
		o.NetworkingConfig.EndpointsConfig[name] = e
	}
}

// published publishes a port of a container at a free one of 127.0.0.1.
func published(port string) spec {
	p := networktypes.MustParsePort(port)
	return func(o *client.ContainerCreateOptions) {
		o.Config.ExposedPorts = networktypes.PortSet{p: {}}
		o.HostConfig.PortBindings = networktypes.PortMap{p: {{}}}
	}
}

// endpointMood has the plugin moody change an endpoint; see its
// PreCreateEndpoint.
func endpointMood(name, words string) spec {
	return config(func(c *container.Config) {
		c.Env = append(c.Env, fmt.Sprintf("MOODY_%d=%s %s", len(c.Env), name, words))
	})
}

var networksMade atomic.Int32

// network makes a network that is removed at the end of the test.
func (d *daemon) network(t testing.TB, o client.NetworkCreateOptions) string {
	t.Helper()
	name := fmt.Sprint("net", networksMade.Add(1))
	_, err := d.client.NetworkCreate(testContext(t), name, o)
	require.NoError(t, err)
	t.Cleanup(func() { d.client.NetworkRemove(context.Background(), name, client.NetworkRemoveOptions{}) })
	return name
}

// runs creates and starts a container that sleeps, or serves /etc on port 80.
func (d *daemon) runs(t testing.TB, specs ...spec) string {
	t.Helper()
	id := d.create(t, "httpd :80 /etc", specs...)
	d.startContainer(t, id)
	return id
}

// ok runs a script in a container and returns what it wrote.
func (d *daemon) ok(t testing.TB, id, script string) string {
	t.Helper()
	r := d.exec(t, id, script)
	require.Zero(t, r.code, "%s: %s%s", script, r.stdout, r.stderr)
	return strings.TrimSpace(r.stdout)
}

// traces are what networks leave on the host: devices, and entries below
// the daemon's directories.
func (d *daemon) traces(t testing.TB) []string {
	t.Helper()
	devices, err := os.ReadDir("/sys/class/net")
	require.NoError(t, err)
	var all []string
	for _, e := range devices {
		all = append(all, "device "+e.Name())
	}
	for _, pattern := range []string{"networks/*", "cni/leases/*/[0-9]*", "containers/*"} {
		found, err := filepath.Glob(filepath.Join(d.root, "x", pattern))
		require.NoError(t, err)
		all = append(all, found...)
	}
	slices.Sort(all)
	return all
}
