// Package mapping translates between the words of kubelet, runtime.v1, and
// those that hooks know, Docker's: a request to make a container, one to
// update it, and what is known of it when it starts.
//
// A request is shown to hooks as a configuration, and of the configuration
// that they leave only what differs is written back, into the same message. So
// what no hook touched is what kubelet sent, with fields that did not exist
// when this daemon was built. What CRI cannot say, but an OCI specification
// can, comes back as Extra; anything else is refused by name, whether this
// package has heard of the field or not: nothing is lost.
//
// The functions are pure, but for looking at the host where ocispec does, for
// the numbers of block devices and for a cgroup controller.
package mapping

import (
	"reflect"

	"google.golang.org/protobuf/proto"
	runtime "k8s.io/cri-api/pkg/apis/runtime/v1"

	"github.com/pouchfx/pouchfx/types"
)

// subjects are the parts of a configuration: how each is shown to hooks, and
// how what they changed of it is carried to the runtime.
var subjects = []struct {
	show  func(*runtime.CreateContainerRequest, *types.ContainerCreateConfig)
	carry func(*change)
}{
	{showImage, carryImage},
	{showCommand, carryCommand},
	{showEnv, carryEnv},
	{showStreams, carryStreams},
	{showLabels, carryLabels},
	{showAnnotations, carryAnnotations},
	{showUser, carryUser},
	{showMounts, carryMounts},
	{showDevices, carryDevices},
	{showLimits, carryLimits},
	{showPrivileges, carryPrivileges},
	{showConfinement, carryConfinement},
	{showPod, carryPod},
}

// Config is what hooks see of a request. Any message will do, an empty one
// too. HostConfig and NetworkingConfig are never nil.
//
// Some fields are there to be read: NetworkMode, PidMode, IpcMode, UTSMode,
// UsernsMode and Hostname tell what the pod has, "container:ID" with the
// sandbox's id. Mounts are all in HostConfig.Mounts; Binds is empty.
// SpecAnnotation holds CRI's annotations.
func Config(r *runtime.CreateContainerRequest) *types.ContainerCreateConfig {
	c := &types.ContainerCreateConfig{HostConfig: &types.HostConfig{}, NetworkingConfig: &types.NetworkingConfig{}}
	for _, s := range subjects {
		s.show(r, c)
	}
	return c
}

// Result is what Apply did.
type Result struct {
	// Changed is set when the request is another than it was.
	Changed bool
	// Extra is what the request has no fields for.
	Extra Extra
	// Warnings say what was carried, but may not do what the hook expects.
	Warnings []string
}

// Apply writes into r what differs between before, which is Config(r), and
// after. It changes neither of them. Its error is an
// errdefs.ErrInvalidArgument that names all fields that cannot be carried, as
// HostConfig.RestartPolicy; r is then not to be used.
func Apply(r *runtime.CreateContainerRequest, before, after *types.ContainerCreateConfig) (Result, error) {
	if after.HostConfig == nil || after.NetworkingConfig == nil {
		return Result{}, invalid("HostConfig and NetworkingConfig must not be nil")
	}
	if reflect.DeepEqual(before, after) { // as nearly always
		return Result{}, nil
	}
	original := proto.Clone(r)
	left, host := *before, *before.HostConfig
	left.HostConfig = &host
	c := &change{request: r, before: &left, after: after}
	for _, s := range subjects {
		s.carry(c)
	}
	c.refuseRest("", left.ContainerConfig, after.ContainerConfig)
	c.refuseRest("HostConfig.", host, *after.HostConfig)
	c.refuseRest("NetworkingConfig.", *before.NetworkingConfig, *after.NetworkingConfig)
	if err := c.err(); err != nil {
		return Result{}, err
	}
	return Result{Changed: !proto.Equal(original, r), Extra: c.extra, Warnings: c.warnings}, nil
}

// change is what Apply works on.
type change struct {
	edits
	request  *runtime.CreateContainerRequest
	before   *types.ContainerCreateConfig // a copy; what was carried is as in after
	after    *types.ContainerCreateConfig
	extra    Extra
	warnings []string
}

func (c *change) warn(text string) { c.warnings = append(c.warnings, text) }

// Messages that are there to be changed: made where the request has none.

func (c *change) config() *runtime.ContainerConfig { return own(&c.request.Config) }

func (c *change) linux() *runtime.LinuxContainerConfig { return own(&c.config().Linux) }

func (c *change) resources() *runtime.LinuxContainerResources { return own(&c.linux().Resources) }

func (c *change) security() *runtime.LinuxContainerSecurityContext {
	return own(&c.linux().SecurityContext)
}

// own makes what p points to where there is none.
func own[T any](p **T) *T {
	if *p == nil {
		*p = new(T)
	}
	return *p
}
