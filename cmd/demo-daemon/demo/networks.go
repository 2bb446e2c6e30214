package demo

import (
	"context"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"time"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/network"
	"github.com/moby/moby/client"

	"github.com/pouchfx/pouchfx/cmd/demo-daemon/demo/facts"
)

// The networks of the container. By their names alone backNetwork would have
// the first interface and the default gateway.
const (
	backNetwork  = "demo-back"
	frontNetwork = "demo-front"
	// vendor begins the MAC addresses that the plugin chooses.
	vendor = "02:42:de"
)

var guestPort = network.MustParsePort(facts.Port + "/tcp")

func (s *story) networksAreMade(ctx context.Context) error {
	s.chapter("Two networks are made: %s and %s", backNetwork, frontNetwork)
	for _, name := range []string{backNetwork, frontNetwork} {
		if _, err := s.daemon.NetworkCreate(ctx, name, client.NetworkCreateOptions{}); err != nil {
			return fmt.Errorf("cannot create network %s: %w", name, err)
		}
	}
	return nil
}

// onNetworks has a container be on both, with a published port.
func onNetworks(o *client.ContainerCreateOptions) {
	o.Config.ExposedPorts = network.PortSet{guestPort: {}}
	o.HostConfig.NetworkMode = frontNetwork
	o.HostConfig.PortBindings = network.PortMap{guestPort: {{}}}
	o.NetworkingConfig = &network.NetworkingConfig{EndpointsConfig: map[string]*network.EndpointSettings{backNetwork: {}, frontNetwork: {}}}
}

// containerIsReached claims what the plugin made of the endpoints, and that the
// network carries something.
func (s *story) containerIsReached(c container.InspectResponse, inside facts.Facts) error {
	front := c.NetworkSettings.Networks[frontNetwork]
	if front == nil || len(inside.Interfaces) == 0 {
		return fmt.Errorf("the container is on no network: %+v", inside.Interfaces)
	}
	first := inside.Interfaces[0]
	s.claim(len(inside.Interfaces) == 2 && !slices.ContainsFunc(inside.Interfaces, func(i facts.Interface) bool { return !strings.HasPrefix(i.MAC, vendor) }),
		fmt.Sprintf("inside, its interfaces: %v", inside.Interfaces), "uplink (container plugin) chose their MAC addresses in PreCreateEndpoint")
	s.claim(first.Address == front.IPAddress.String() && inside.Gateway == first.Name,
		fmt.Sprintf("inside, %s has %s, and the default route leads through %s", first.Name, first.Address, inside.Gateway),
		"and made %s the way out", frontNetwork)
	s.claim(strings.Contains(inside.Resolv, "search demo.example"), fmt.Sprintf("inside, /etc/resolv.conf: %s", strings.ReplaceAll(strings.TrimSpace(inside.Resolv), "\n", ", ")),
		"and where names are looked up")
	s.claim(slices.Contains(inside.Named, first.Address), fmt.Sprintf("inside, %s is %v", containerName, inside.Named), "containers are found by their names")
	words, err := knock(c.NetworkSettings.Ports[guestPort])
	if err != nil {
		return err
	}
	s.claim(strings.Contains(words, "hello"), "outside, at the published port: "+words, "the container is reached from outside")
	return nil
}

// knock reads what the container says at its published port.
func knock(bindings []network.PortBinding) (string, error) {
	if len(bindings) == 0 {
		return "", fmt.Errorf("port %s is not published", guestPort)
	}
	conn, err := net.DialTimeout("tcp", "127.0.0.1:"+bindings[0].HostPort, 5*time.Second)
	if err != nil {
		return "", fmt.Errorf("the published port does not answer: %w", err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(5 * time.Second))
	words, err := io.ReadAll(io.LimitReader(conn, 1<<10))
	return conn.RemoteAddr().String() + " says " + strings.TrimSpace(string(words)), err
}

func (s *story) networksGo(ctx context.Context) error {
	for _, name := range []string{backNetwork, frontNetwork} {
		if _, err := s.daemon.NetworkRemove(ctx, name, client.NetworkRemoveOptions{}); err != nil {
			return fmt.Errorf("cannot remove network %s: %w", name, err)
		}
	}
	return nil
}
