package api

import (
	"context"
	"maps"
	"net/netip"
	"slices"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/events"
	"github.com/moby/moby/api/types/image"
	"github.com/moby/moby/api/types/network"
	"github.com/moby/moby/api/types/storage"
	"github.com/moby/moby/api/types/system"
)

// The types of github.com/moby/moby/api are those of the newest API. The
// types here put back what the versions served had beside them, and take away
// what came later.

// inspectResponse is a container before API 1.52.
type inspectResponse struct {
	*container.InspectResponse
	HostConfig      any
	Config          any
	NetworkSettings any
	Pouchfx         *ownInspect `json:",omitempty"`
}

type legacyHostConfig struct {
	*container.HostConfig
	KernelMemory int64 // until 1.41
}

type legacyConfig struct {
	*container.Config
	MacAddress string `json:",omitempty"`
}

type legacyNetworkSettings struct {
	*container.NetworkSettings
	Bridge                 string
	HairpinMode            bool
	LinkLocalIPv6Address   string
	LinkLocalIPv6PrefixLen int
	SecondaryIPAddresses   []struct{}
	SecondaryIPv6Addresses []struct{}
	EndpointID             string
	Gateway                string
	GlobalIPv6Address      string
	GlobalIPv6PrefixLen    int
	IPAddress              string
	IPPrefixLen            int
	IPv6Gateway            string
	MacAddress             string
}

func legacyInspect(ctx context.Context, c *container.InspectResponse) inspectResponse {
	found := *c
	found.ImageManifestDescriptor, found.Storage = nil, nil
	if found.GraphDriver == nil {
		found.GraphDriver = &storage.DriverData{Name: c.Driver}
	}
	legacy := inspectResponse{InspectResponse: &found, HostConfig: c.HostConfig, Config: c.Config, NetworkSettings: c.NetworkSettings}
	if c.HostConfig != nil && !versionFrom(ctx).atLeast(42) {
		legacy.HostConfig = legacyHostConfig{HostConfig: c.HostConfig}
	}
	if c.NetworkSettings == nil {
		return legacy
	}
	settings := legacyNetworkSettings{NetworkSettings: withIDAliases(c)}
	if n := c.NetworkSettings.Networks[network.NetworkBridge]; n != nil {
		settings.EndpointID, settings.MacAddress = n.EndpointID, n.MacAddress.String()
		settings.Gateway, settings.IPv6Gateway = address(n.Gateway), address(n.IPv6Gateway)
		settings.IPAddress, settings.IPPrefixLen = address(n.IPAddress), n.IPPrefixLen
		settings.GlobalIPv6Address, settings.GlobalIPv6PrefixLen = address(n.GlobalIPv6Address), n.GlobalIPv6PrefixLen
	}
	legacy.NetworkSettings = settings
	if c.Config != nil && c.HostConfig != nil {
		if n := c.NetworkSettings.Networks[string(c.HostConfig.NetworkMode)]; n != nil {
			legacy.Config = legacyConfig{c.Config, n.MacAddress.String()}
		}
	}
	return legacy
}

// withIDAliases puts a container's short id and host name among its aliases, as
// they were before API 1.45.
func withIDAliases(c *container.InspectResponse) *container.NetworkSettings {
	settings := *c.NetworkSettings
	settings.Networks = maps.Clone(settings.Networks)
	for name, e := range settings.Networks {
		if e == nil || !container.NetworkMode(name).IsUserDefined() || len(c.ID) < 12 {
			continue
		}
		named := *e
		named.Aliases = slices.Clone(e.Aliases)
		for _, alias := range []string{c.ID[:12], hostnameOf(c)} {
			if alias != "" && !slices.Contains(named.Aliases, alias) {
				named.Aliases = append(named.Aliases, alias)
			}
		}
		settings.Networks[name] = &named
	}
	return &settings
}

func hostnameOf(c *container.InspectResponse) string {
	if c.Config == nil {
		return ""
	}
	return c.Config.Hostname
}

// address writes an address; the zero one prints as "invalid IP" by itself.
func address(a netip.Addr) string {
	if !a.IsValid() {
		return ""
	}
	return a.String()
}

// legacySummaries takes away what came after 1.44.
func legacySummaries(_ context.Context, all []container.Summary) []container.Summary {
	for i := range all {
		all[i].HostConfig.Annotations = nil
		all[i].ImageManifestDescriptor = nil
		all[i].Health = nil
	}
	return all
}

// imageSummary is an image of a list.
type imageSummary struct {
	image.Summary
	VirtualSize *int64 `json:",omitempty"` // until 1.43
}

func legacyImages(ctx context.Context, all []image.Summary) []imageSummary {
	v := versionFrom(ctx)
	legacy := make([]imageSummary, len(all))
	for i, s := range all {
		s.Descriptor, s.Manifests = nil, nil
		if !v.atLeast(43) && len(s.RepoTags) == 0 && len(s.RepoDigests) == 0 {
			s.RepoTags, s.RepoDigests = []string{"<none>:<none>"}, []string{"<none>@<none>"}
		}
		legacy[i].Summary = s
		if !v.atLeast(44) {
			legacy[i].VirtualSize = &s.Size
		}
	}
	return legacy
}

// imageInspect is an image before API 1.50.
type imageInspect struct {
	*image.InspectResponse
	Parent        string
	DockerVersion string
	Comment       string
	Author        string
	VirtualSize   *int64 `json:",omitempty"` // until 1.43
}

func legacyImage(ctx context.Context, i *image.InspectResponse) imageInspect {
	found := *i
	found.Descriptor, found.Manifests, found.Identity = nil, nil, nil
	if found.GraphDriver == nil {
		found.GraphDriver = &storage.DriverData{}
	}
	legacy := imageInspect{InspectResponse: &found, Comment: i.Comment, Author: i.Author}
	if !versionFrom(ctx).atLeast(44) {
		legacy.VirtualSize = &i.Size
	}
	return legacy
}

// eventMessage is an event before API 1.52.
type eventMessage struct {
	Status events.Action `json:"status,omitempty"`
	ID     string        `json:"id,omitempty"`
	From   string        `json:"from,omitempty"`
	events.Message
}

func legacyEvent(m events.Message) eventMessage {
	legacy := eventMessage{Message: m}
	if m.Type == events.ContainerEventType || m.Type == events.ImageEventType {
		legacy.Status, legacy.ID = m.Action, m.Actor.ID
	}
	if m.Type == events.ContainerEventType {
		legacy.From = m.Actor.Attributes["image"]
	}
	return legacy
}

// infoResponse is the daemon before API 1.50.
type infoResponse struct {
	system.Info
	BridgeNfIptables  bool
	BridgeNfIP6tables bool `json:"BridgeNfIp6tables"`
	ContainerdCommit  legacyCommit
	RuncCommit        legacyCommit
	InitCommit        legacyCommit
}

type legacyCommit struct{ ID, Expected string }

func legacyInfo(i system.Info) infoResponse {
	i.Containerd = nil
	return infoResponse{
		Info:             i,
		ContainerdCommit: legacyCommit{i.ContainerdCommit.ID, i.ContainerdCommit.ID},
		RuncCommit:       legacyCommit{i.RuncCommit.ID, i.RuncCommit.ID},
		InitCommit:       legacyCommit{i.InitCommit.ID, i.InitCommit.ID},
	}
}
