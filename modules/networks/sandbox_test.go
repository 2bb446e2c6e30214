package networks

import (
	"net/netip"
	"testing"

	"github.com/moby/moby/api/types/network"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestASandboxHasNothingButALoopbackUntilItIsConnected(t *testing.T) {
	h := newHouse(t)
	id := h.open("web")
	assert.Equal(t, []string{"lo 127.0.0.1/8"}, h.links(id))
	assert.Equal(t, []string{id}, h.Sandboxes())
	settings, ok := h.Settings(id)
	require.True(t, ok)
	assert.Empty(t, settings.Networks)
}

func TestConnectAndClose(t *testing.T) {
	h := newHouse(t)
	bridge := h.inspect("bridge")
	id := h.run("web", "bridge")
	ep := h.on(id, "bridge")
	sub := bridge.IPAM.Config[0]
	assert.Equal(t, sub.Gateway, ep.Gateway)
	assert.Equal(t, []string{"lo 127.0.0.1/8", "eth0 " + netip.PrefixFrom(ep.IPAddress, ep.IPPrefixLen).String()}, h.links(id))
	assert.Equal(t, sub.Gateway, h.defaultRoute(id))
	assert.Equal(t, []string{ep.IPAddress.String()}, h.leases(bridge.ID))
	found := h.inspect("bridge").Containers
	require.Contains(t, found, id)
	assert.Equal(t, network.EndpointResource{Name: "web", EndpointID: ep.EndpointID, MacAddress: ep.MacAddress,
		IPv4Address: netip.PrefixFrom(ep.IPAddress, ep.IPPrefixLen)}, found[id])

	require.NoError(t, h.Close(t.Context(), id))
	require.NoError(t, h.Close(t.Context(), id))
	assert.Empty(t, h.leases(bridge.ID))
	assert.Empty(t, h.inspect("bridge").Containers)
	assert.Empty(t, h.Sandboxes())
	assert.Equal(t, []string{"connect", "disconnect"}, h.said("bridge"))
}
