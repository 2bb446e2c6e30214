package types

import (
	"github.com/moby/moby/api/types/blkiodev"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/network"
)

// The parts of a container's configuration that are Docker's alone.
type (
	// HostConfig is the host-dependent part of a container's configuration.
	HostConfig = container.HostConfig
	// NetworkingConfig names the endpoints that a container asks for.
	NetworkingConfig = network.NetworkingConfig
	// MountPoint is one mount of a container, as inspect shows it.
	MountPoint = container.MountPoint
	// Resources are the limits of a container.
	Resources = container.Resources
	// RestartPolicy says when a container is started again.
	RestartPolicy = container.RestartPolicy
	// LogConfig says where a container's output goes.
	LogConfig = container.LogConfig
	// DeviceMapping makes a device of the host one of the container.
	DeviceMapping = container.DeviceMapping
	// Ulimit is a limit of the container's processes.
	Ulimit = container.Ulimit
	// ThrottleDevice bounds the rate of a block device.
	ThrottleDevice = blkiodev.ThrottleDevice
	// WeightDevice is a container's share of a block device.
	WeightDevice = blkiodev.WeightDevice
	// NetworkSettings are the networks of a container.
	NetworkSettings = container.NetworkSettings
	// EndpointSettings are a container's on one network.
	EndpointSettings = network.EndpointSettings
	// EndpointIPAMConfig asks for addresses on a network.
	EndpointIPAMConfig = network.EndpointIPAMConfig
	// PortMap says on which ports of the host those of a container are.
	PortMap = network.PortMap
	// PortBinding is a port of the host.
	PortBinding = network.PortBinding
)

// ContainerConfig is Docker's Config and the fields PouchContainer adds that
// this daemon honours.
type ContainerConfig struct {
	container.Config

	// Snapshotter holds the container's root filesystem; empty means the
	// daemon's default. The image is unpacked into it when that is missing.
	Snapshotter string `json:",omitempty"`
	// SpecificID is the container's id, 64 hexadecimal digits; empty means a
	// random one.
	SpecificID string `json:",omitempty"`
	// SpecAnnotation is copied to the annotations of the OCI spec.
	SpecAnnotation map[string]string `json:",omitempty"`
	// NetPriority is the cgroup v1 net_prio priority of the container's
	// traffic; 0 leaves it alone. It needs a host with that controller.
	NetPriority int64 `json:",omitempty"`
	// InitScript is a shell command that runs in the container, as its first
	// process, before the command takes its place. The container ends with
	// the script's status when the script fails.
	InitScript string `json:",omitempty"`
}

// ContainerCreateConfig is the body of POST /containers/create, what the
// PreCreate hook changes.
type ContainerCreateConfig struct {
	ContainerConfig
	// HostConfig is never nil in a hook.
	HostConfig *HostConfig `json:",omitempty"`
	// NetworkingConfig is never nil in a hook.
	NetworkingConfig *NetworkingConfig `json:",omitempty"`
}

// UpdateConfig is the body of POST /containers/{id}/update. A zero field is
// left as it is.
type UpdateConfig struct {
	container.UpdateConfig

	// Env holds "K=V" to set and "K" to remove, for the next start.
	Env []string `json:",omitempty"`
	// Label holds "k=v" to set.
	Label []string `json:",omitempty"`
	// SpecAnnotation is merged into the container's annotations, for the
	// next start.
	SpecAnnotation map[string]string `json:",omitempty"`
}

// Container is what the PreStart hook gets: the container about to be
// started. Changes to Config.Env, Mounts and Annotations reach the OCI spec
// of this start and no other; the rest is there to be read.
type Container struct {
	// ID is the full id.
	ID string
	// Name has no leading slash.
	Name string
	// Image is the reference the container was made from.
	Image string
	// Config is the container's configuration; never nil.
	Config *ContainerConfig
	// HostConfig is the host-dependent part; never nil.
	HostConfig *HostConfig
	// Mounts are the bind, volume and tmpfs mounts in the order they are made.
	Mounts []MountPoint
	// Annotations are those of the OCI spec.
	Annotations map[string]string
	// NetworkSettings are the networks that the container asks for; never nil.
	NetworkSettings *container.NetworkSettings
	// BaseFS is the path at which the root filesystem will be mounted.
	BaseFS string
}
