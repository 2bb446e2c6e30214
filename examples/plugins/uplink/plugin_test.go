package uplink

import (
	"testing"

	"github.com/moby/moby/api/types/network"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pouchfx/pouchfx/networktypes"
)

func TestEndpointsAreChanged(t *testing.T) {
	p, err := New(Config{Network: "front", Vendor: "02:42:ac", Search: []string{"example.org"}})
	require.NoError(t, err)
	made := func(name string, change func(*networktypes.Endpoint)) *networktypes.Endpoint {
		e := &networktypes.Endpoint{Network: name, EndpointConfig: &network.EndpointSettings{}}
		if change != nil {
			change(e)
		}
		require.NoError(t, p.PreCreateEndpoint(t.Context(), "id", nil, e))
		return e
	}
	front, back := made("front", nil), made("back", nil)
	assert.Greater(t, front.Priority, back.Priority)
	assert.Equal(t, "02:42:ac", front.EndpointConfig.MacAddress.String()[:8])
	assert.NotEqual(t, front.EndpointConfig.MacAddress, back.EndpointConfig.MacAddress)
	assert.Equal(t, front, made("front", nil), "the next start has the same")
	assert.Equal(t, []string{"example.org"}, back.DNSSearch)

	own := made("front", func(e *networktypes.Endpoint) {
		e.Priority, e.EndpointConfig.MacAddress, e.DNSSearch = 5, network.HardwareAddr{2, 0, 0, 0, 0, 1}, []string{"own"}
	})
	assert.Equal(t, 5, own.Priority)
	assert.Equal(t, "02:00:00:00:00:01", own.EndpointConfig.MacAddress.String())
	assert.Equal(t, []string{"own"}, own.DNSSearch)
}

func TestABadVendorIsRefused(t *testing.T) {
	for _, bad := range []string{"x", "02:42", "01:00:00", "02:42:ac:11"} {
		_, err := New(Config{Vendor: bad})
		assert.Error(t, err, bad)
	}
	p, err := New(Config{})
	require.NoError(t, err)
	e := &networktypes.Endpoint{EndpointConfig: &network.EndpointSettings{}}
	require.NoError(t, p.PreCreateEndpoint(t.Context(), "id", nil, e))
	assert.Empty(t, e.EndpointConfig.MacAddress, "without a configuration it changes nothing")
	assert.Empty(t, e.DNSSearch)
}
