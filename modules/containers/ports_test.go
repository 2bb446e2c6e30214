package containers

import (
	"net/netip"
	"testing"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/network"
	"github.com/stretchr/testify/assert"

	"github.com/pouchfx/pouchfx/types"
)

func TestPublishedPorts(t *testing.T) {
	p := network.MustParsePort
	binding := []network.PortBinding{{HostPort: "8080"}}
	r := &record{
		Config: types.ContainerConfig{Config: container.Config{ExposedPorts: network.PortSet{p("80"): {}, p("53/udp"): {}}}},
		HostConfig: types.HostConfig{
			PortBindings: network.PortMap{p("80"): binding, p("443"): nil},
		},
	}
	assert.Equal(t, network.PortMap{p("80"): binding}, publishedPorts(r))
	assert.Equal(t, network.PortMap{p("80"): binding, p("443"): nil, p("53/udp"): nil}, shownPorts(r, publishedPorts(r)))
	r.HostConfig.PublishAllPorts = true
	assert.Equal(t, network.PortMap{p("80"): binding, p("443"): nil, p("53/udp"): nil}, publishedPorts(r))
}

func TestPortsAsListed(t *testing.T) {
	p, any4 := network.MustParsePort, netip.IPv4Unspecified()
	assert.Equal(t, []container.PortSummary{
		{PrivatePort: 53, Type: "udp"},
		{IP: any4, PrivatePort: 80, PublicPort: 8080, Type: "tcp"},
		{IP: any4, PrivatePort: 80, PublicPort: 8081, Type: "tcp"},
	}, portSummaries(network.PortMap{p("80"): {{HostIP: any4, HostPort: "8081"}, {HostIP: any4, HostPort: "8080"}}, p("53/udp"): nil}))
	assert.NotNil(t, portSummaries(nil))
}
