// Package networktypes holds what a container's endpoint on a network is made
// from: the data of the PreCreateEndpoint hook.
package networktypes

import (
	"net/netip"

	"github.com/moby/moby/api/types/network"
)

// Endpoint is a container's place on one network, before it is made.
type Endpoint struct {
	// Owner is the container's id.
	Owner string
	// Network is the network's name.
	Network string
	// EndpointConfig is what the client asked for; never nil in a hook. Its
	// MacAddress, IPAMConfig and Aliases may be changed.
	EndpointConfig *network.EndpointSettings
	// Priority orders a container's interfaces: the endpoint with the
	// biggest one comes first and holds the default gateway.
	Priority int
	// DNS, DNSSearch and DNSOptions replace the daemon's for the container.
	DNS        []netip.Addr
	DNSSearch  []string
	DNSOptions []string
	// DisableResolver leaves the container without the embedded DNS server.
	DisableResolver bool
	// GenericParams are handed to the network's driver as arguments.
	GenericParams map[string]any
}
