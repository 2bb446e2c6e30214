package api

import (
	"bytes"
	"context"
	"maps"
	"slices"
	"strings"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/network"

	"github.com/pouchfx/pouchfx/types"
)

// The MAC address of a container was a field of its configuration until API
// 1.44, and is one of its endpoints since.

const deprecatedMAC = "The container-wide MacAddress field is now deprecated. It should be specified in EndpointsConfig instead."

// placeMAC gives the container-wide MAC address to the endpoint of the network
// mode, as dockerd does, and returns a warning where that is out of date.
func placeMAC(ctx context.Context, c *types.ContainerCreateConfig, mac network.HardwareAddr) (warning string, err error) {
	mode, endpoints := c.HostConfig.NetworkMode, c.NetworkingConfig
	old := !versionFrom(ctx).atLeast(44)
	if old {
		for _, e := range endpoints.EndpointsConfig {
			e.MacAddress = nil // those versions did not have it
		}
	}
	if len(mac) == 0 {
		return "", nil
	}
	if mode.IsHost() || mode.IsNone() || mode.IsContainer() {
		if old {
			return "", badRequest("conflicting options: mac-address and the network mode")
		}
		return deprecatedMAC, nil
	}
	e := endpointOf(endpoints, mode, old)
	switch {
	case e == nil:
		return "", badRequest("if a container-wide MAC address is supplied, HostConfig.NetworkMode must match the identity of a network in NetworkSettings.Networks")
	case old:
		e.MacAddress = mac
		return "", nil
	case len(e.MacAddress) > 0 && !bytes.Equal(e.MacAddress, mac):
		return "", badRequest("the container-wide MAC address must match the endpoint-specific MAC address for the main network, or be left empty")
	}
	e.MacAddress = mac
	return deprecatedMAC, nil
}

// endpointOf finds the endpoint of the network mode, or makes one where there
// is none at all; nil when there are others. Old clients have one at most.
func endpointOf(n *types.NetworkingConfig, mode container.NetworkMode, old bool) *network.EndpointSettings {
	name := string(mode)
	if mode == "" {
		name = network.NetworkDefault
	}
	if len(n.EndpointsConfig) == 0 {
		n.EndpointsConfig = map[string]*network.EndpointSettings{name: {}}
	}
	if e := n.EndpointsConfig[name]; e != nil {
		return e
	}
	for _, e := range n.EndpointsConfig {
		if old {
			return e
		}
	}
	return nil
}

// oneEndpoint refuses several networks where the API did not know of that.
func oneEndpoint(ctx context.Context, n *types.NetworkingConfig) error {
	if len(n.EndpointsConfig) <= 1 || versionFrom(ctx).atLeast(44) {
		return nil
	}
	return badRequest("Container cannot be connected to network endpoints: %s", strings.Join(slices.Sorted(maps.Keys(n.EndpointsConfig)), ", "))
}
