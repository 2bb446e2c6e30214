package api

import (
	"context"
	"testing"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/api/types/network"
	"github.com/moby/moby/client"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pouchfx/pouchfx/modules/filters"
)

// fakeNetworks has a network named "mine" and remembers what it was asked.
type fakeNetworks struct {
	created network.CreateRequest
	filters filters.Args
}

var mine = network.Inspect{
	Network:    network.Network{Name: "mine", ID: "abc"},
	Containers: map[string]network.EndpointResource{"c": {Name: "web"}},
	Status:     &network.Status{},
}

func (f *fakeNetworks) Create(_ context.Context, r network.CreateRequest) (network.CreateResponse, error) {
	f.created = r
	if r.Name == "mine" {
		return network.CreateResponse{}, errdefs.ErrConflict.WithMessage("network with name mine already exists")
	}
	return network.CreateResponse{ID: "def"}, nil
}

func (f *fakeNetworks) Inspect(_ context.Context, name string) (network.Inspect, error) {
	if name != "mine" {
		return network.Inspect{}, errdefs.ErrNotFound.WithMessage("network " + name + " not found")
	}
	return mine, nil
}

func (f *fakeNetworks) List(_ context.Context, args filters.Args) ([]network.Inspect, error) {
	f.filters = args
	return []network.Inspect{mine}, nil
}

func (f *fakeNetworks) Remove(_ context.Context, name string) error {
	if name != "mine" {
		return errdefs.ErrPermissionDenied.WithMessage(name + " is a pre-defined network and cannot be removed")
	}
	return nil
}

func (f *fakeNetworks) Prune(_ context.Context, args filters.Args) (network.PruneReport, error) {
	f.filters = args
	return network.PruneReport{NetworksDeleted: []string{"mine"}}, nil
}

func TestNetworksForDockersClient(t *testing.T) {
	d := startDaemon(t)
	c, ctx := d.client(), t.Context()
	all, err := c.NetworkList(ctx, client.NetworkListOptions{Filters: client.Filters{}.Add("label", "a=b")})
	require.NoError(t, err)
	require.Len(t, all.Items, 1)
	assert.Equal(t, "mine", all.Items[0].Name)
	assert.True(t, d.networks.filters.Has("label"))

	found, err := c.NetworkInspect(ctx, "mine", client.NetworkInspectOptions{})
	require.NoError(t, err)
	assert.Contains(t, found.Network.Containers, "c")
	_, err = c.NetworkInspect(ctx, "nosuch", client.NetworkInspectOptions{})
	assert.True(t, errdefs.IsNotFound(err))

	made, err := c.NetworkCreate(ctx, "n", client.NetworkCreateOptions{Driver: "bridge", Internal: true})
	require.NoError(t, err)
	assert.Equal(t, "def", made.ID)
	assert.True(t, d.networks.created.Internal)
	_, err = c.NetworkCreate(ctx, "mine", client.NetworkCreateOptions{})
	assert.True(t, errdefs.IsConflict(err))

	_, err = c.NetworkConnect(ctx, "mine", client.NetworkConnectOptions{Container: "web", EndpointConfig: &network.EndpointSettings{Aliases: []string{"db"}}})
	require.NoError(t, err)
	assert.Equal(t, "mine", d.containers.connected)
	assert.Equal(t, []string{"db"}, d.containers.endpoint.Aliases)
	_, err = c.NetworkConnect(ctx, "mine", client.NetworkConnectOptions{Container: "nosuch"})
	assert.True(t, errdefs.IsNotFound(err))
	_, err = c.NetworkDisconnect(ctx, "mine", client.NetworkDisconnectOptions{Container: "web", Force: true})
	require.NoError(t, err)
	assert.Empty(t, d.containers.connected)

	_, err = c.NetworkRemove(ctx, "mine", client.NetworkRemoveOptions{})
	require.NoError(t, err)
	_, err = c.NetworkRemove(ctx, "bridge", client.NetworkRemoveOptions{})
	assert.True(t, errdefs.IsPermissionDenied(err))
	pruned, err := c.NetworkPrune(ctx, client.NetworkPruneOptions{})
	require.NoError(t, err)
	assert.Equal(t, []string{"mine"}, pruned.Report.NetworksDeleted)
}

func TestNetworkStatuses(t *testing.T) {
	d := startDaemon(t)
	conn := d.dial()
	for _, c := range []struct {
		method, path, body string
		status             int
	}{
		{"POST", "/networks/create", `{"Name":"n"}`, 201},
		{"POST", "/networks/create", `{"Name":5}`, 400},
		{"POST", "/networks/mine/connect", `{"Container":"web"}`, 200},
		{"POST", "/networks/mine/connect", `{}`, 400},
		{"POST", "/networks/mine/disconnect", `{"Container":"web"}`, 200},
		{"POST", "/networks/mine/disconnect", `{}`, 400},
		{"DELETE", "/networks/mine", "", 204},
		{"DELETE", "/networks/host", "", 403},
		{"POST", "/networks/prune", "", 200},
	} {
		res, text := conn.do(c.method, "/v1.44"+c.path, c.body)
		assert.Equal(t, c.status, res.StatusCode, "%s %s %s: %s", c.method, c.path, c.body, text)
	}
	_, text := conn.do("GET", "/v1.44/networks", "")
	assert.Contains(t, text, `"Containers":{}`, "a list does not tell of containers")
	assert.NotContains(t, text, `"Status"`)
	_, text = conn.do("GET", "/v1.24/networks", "")
	assert.Contains(t, text, `"Containers":{"c"`)
	_, text = conn.do("GET", "/v1.44/networks/mine", "")
	assert.NotContains(t, text, `"Status"`)
}

func TestTheMACAddressOfOldClients(t *testing.T) {
	d := startDaemon(t)
	conn := d.dial()
	for _, c := range []struct {
		name, version, body, where, warning string
		status                              int
	}{
		{"old, by default", "1.43", `{"MacAddress":"02:00:00:00:00:01"}`, "default", "", 201},
		{"old, with an endpoint", "1.43", `{"MacAddress":"02:00:00:00:00:01","HostConfig":{"NetworkMode":"id"},"NetworkingConfig":{"EndpointsConfig":{"n":{}}}}`, "n", "", 201},
		{"old, on host", "1.43", `{"MacAddress":"02:00:00:00:00:01","HostConfig":{"NetworkMode":"host"}}`, "", "conflicting options: mac-address and the network mode", 400},
		{"old, of an endpoint", "1.43", `{"NetworkingConfig":{"EndpointsConfig":{"n":{"MacAddress":"02:00:00:00:00:01"}}}}`, "", "", 201},
		{"old, two networks", "1.43", `{"NetworkingConfig":{"EndpointsConfig":{"n":{},"m":{}}}}`, "", "Container cannot be connected to network endpoints: m, n", 400},
		{"new, container-wide", "1.44", `{"MacAddress":"02:00:00:00:00:01","HostConfig":{"NetworkMode":"n"}}`, "n", "deprecated", 201},
		{"new, contradiction", "1.44", `{"MacAddress":"02:00:00:00:00:01","HostConfig":{"NetworkMode":"n"},"NetworkingConfig":{"EndpointsConfig":{"n":{"MacAddress":"02:00:00:00:00:02"}}}}`, "", "must match the endpoint-specific", 400},
		{"new, elsewhere", "1.44", `{"MacAddress":"02:00:00:00:00:01","HostConfig":{"NetworkMode":"n"},"NetworkingConfig":{"EndpointsConfig":{"m":{}}}}`, "", "must match the identity", 400},
		{"no address", "1.44", `{"MacAddress":"x"}`, "", "", 400},
	} {
		d.containers.created = nil
		res, text := conn.do("POST", "/v"+c.version+"/containers/create", c.body)
		assert.Equal(t, c.status, res.StatusCode, "%s: %s", c.name, text)
		assert.Contains(t, text, c.warning, c.name)
		if c.status != 201 {
			continue
		}
		require.NotNil(t, d.containers.created)
		for name, e := range d.containers.created.Config.NetworkingConfig.EndpointsConfig {
			assert.Equal(t, name == c.where, len(e.MacAddress) > 0, "%s: %s", c.name, name)
		}
		if c.where != "" {
			assert.Contains(t, d.containers.created.Config.NetworkingConfig.EndpointsConfig, c.where, c.name)
		}
	}
}
