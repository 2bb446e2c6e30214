package containers

import (
	"net/netip"
	"testing"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/network"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pouchfx/pouchfx/modules/networks"
	"github.com/pouchfx/pouchfx/types"
)

// directory knows networks by name and id, and does nothing else.
type directory struct{ Networks }

func (directory) Find(ref string) (networks.Network, error) {
	for name, driver := range map[string]string{"bridge": "bridge", "host": "host", "none": "null", "mine": "bridge"} {
		if ref == name || ref == "id-of-"+name {
			return networks.Network{ID: "id-of-" + name, Name: name, Driver: driver}, nil
		}
	}
	return networks.Network{}, notFound("network %s not found", ref)
}

func (directory) Check(n networks.Network, e *network.EndpointSettings) error {
	if n.Name == "bridge" && len(e.Aliases) > 0 {
		return invalid("no aliases here")
	}
	return nil
}

// planned is what becomes of a request for networks.
func planned(mode container.NetworkMode, asked ...string) (*types.ContainerCreateConfig, error) {
	c := &types.ContainerCreateConfig{HostConfig: &types.HostConfig{NetworkMode: mode}, NetworkingConfig: &types.NetworkingConfig{}}
	if len(asked) > 0 {
		c.NetworkingConfig.EndpointsConfig = map[string]*network.EndpointSettings{}
	}
	for _, name := range asked {
		c.NetworkingConfig.EndpointsConfig[name] = &network.EndpointSettings{DriverOpts: map[string]string{}}
	}
	s := &Service{Params: Params{Networks: directory{}}}
	err := s.planNetworks(c)
	if err == nil {
		_, err = validate(c)
	}
	return c, err
}

func TestTheNetworksOfANewContainer(t *testing.T) {
	for _, c := range []struct {
		name        string
		mode        container.NetworkMode
		asked, want []string
		wantMode    container.NetworkMode
	}{
		{"nothing asked", "", nil, []string{"bridge"}, "bridge"},
		{"default", "default", nil, []string{"bridge"}, "bridge"},
		{"the CLI's settings of the default", "default", []string{"default"}, []string{"bridge"}, "bridge"},
		{"an endpoint instead of the default, as dockerode asks", "", []string{"mine"}, []string{"mine"}, "bridge"},
		{"bridge, and another", "bridge", []string{"mine"}, []string{"bridge", "mine"}, "bridge"},
		{"by name", "mine", nil, []string{"mine"}, "mine"},
		{"by id", "id-of-mine", nil, []string{"mine"}, "id-of-mine"},
		{"by id and name", "id-of-mine", []string{"mine", "id-of-bridge"}, []string{"bridge", "mine"}, "id-of-mine"},
		{"not there yet", "later", []string{"later", "mine"}, []string{"later", "mine"}, "later"},
		{"host", "host", nil, []string{"host"}, "host"},
		{"host by id", "id-of-host", nil, []string{"host"}, "host"},
		{"none", "none", []string{"none"}, []string{"none"}, "none"},
		{"another's", "container:x", nil, nil, "container:x"},
	} {
		got, err := planned(c.mode, c.asked...)
		require.NoError(t, err, c.name)
		assert.Equal(t, c.wantMode, got.HostConfig.NetworkMode, c.name)
		var names []string
		for name, e := range got.NetworkingConfig.EndpointsConfig {
			assert.NotNil(t, e, c.name)
			names = append(names, name)
		}
		assert.ElementsMatch(t, c.want, names, c.name)
	}
}

func TestNetworksThatDoNotGoTogether(t *testing.T) {
	for _, c := range []struct {
		mode  container.NetworkMode
		asked []string
		want  string
	}{
		{"host", []string{"mine"}, sharedNetwork},
		{"mine", []string{"host"}, sharedNetwork},
		{"", []string{"host"}, sharedNetwork},
		{"none", []string{"mine"}, noNetwork},
		{"mine", []string{"none"}, noNetwork},
		{"none", []string{"none", "host"}, ""},
		{"container:x", []string{"mine"}, sharedNetwork},
		{"container:", nil, "invalid container format"},
		{"mine", []string{"mine", "id-of-mine"}, "named twice"},
	} {
		_, err := planned(c.mode, c.asked...)
		require.ErrorIs(t, err, errdefs.ErrInvalidArgument, "%s %v", c.mode, c.asked)
		assert.ErrorContains(t, err, c.want)
	}
	for want, change := range map[string]func(*types.ContainerCreateConfig){
		"hostname and the network mode": func(c *types.ContainerCreateConfig) { c.Hostname = "x" },
		"dns and the network mode":      func(c *types.ContainerCreateConfig) { c.HostConfig.DNS = []netip.Addr{netip.MustParseAddr("1.1.1.1")} },
		"custom host-to-IP mapping":     func(c *types.ContainerCreateConfig) { c.HostConfig.ExtraHosts = []string{"a:1.1.1.1"} },
		"port publishing":               func(c *types.ContainerCreateConfig) { c.HostConfig.PublishAllPorts = true },
		"port exposing": func(c *types.ContainerCreateConfig) {
			c.ExposedPorts = network.PortSet{network.MustParsePort("80"): {}}
		},
	} {
		c := &types.ContainerCreateConfig{HostConfig: &types.HostConfig{NetworkMode: "container:x"}, NetworkingConfig: &types.NetworkingConfig{}}
		change(c)
		_, err := validate(c)
		require.ErrorIs(t, err, errdefs.ErrInvalidArgument, want)
		assert.ErrorContains(t, err, want)
	}
}

func TestEndpointsOfNetworksThatAreThereAreChecked(t *testing.T) {
	s := &Service{Params: Params{Networks: directory{}}}
	for name, bad := range map[string]bool{"bridge": true, "mine": false, "later": false} {
		c := &types.ContainerCreateConfig{HostConfig: &types.HostConfig{NetworkMode: container.NetworkMode(name)}, NetworkingConfig: &types.NetworkingConfig{
			EndpointsConfig: map[string]*network.EndpointSettings{name: {Aliases: []string{"db"}}},
		}}
		err := s.checkEndpoints(c)
		assert.Equal(t, bad, err != nil, name)
		if bad {
			require.ErrorIs(t, err, errdefs.ErrInvalidArgument)
			assert.EqualError(t, err, "no aliases here")
		}
	}
}
