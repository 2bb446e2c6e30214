package mapping

import (
	"maps"

	"github.com/moby/moby/api/types/container"
	runtime "k8s.io/cri-api/pkg/apis/runtime/v1"

	"github.com/pouchfx/pouchfx/types"
)

// Sandbox describes the sandbox into which a container is to be made, as far
// as the request tells: Runtime and NetNS are left empty.
func Sandbox(r *runtime.CreateContainerRequest) *types.SandboxMeta {
	s := r.GetSandboxConfig()
	return &types.SandboxMeta{
		ID:           r.GetPodSandboxId(),
		Name:         s.GetMetadata().GetName(),
		Namespace:    s.GetMetadata().GetNamespace(),
		UID:          s.GetMetadata().GetUid(),
		Attempt:      s.GetMetadata().GetAttempt(),
		Hostname:     s.GetHostname(),
		LogDirectory: s.GetLogDirectory(),
		Labels:       maps.Clone(s.GetLabels()),
		Annotations:  maps.Clone(s.GetAnnotations()),
		CgroupParent: s.GetLinux().GetCgroupParent(),
	}
}

// showPod shows what the container has of its pod.
func showPod(r *runtime.CreateContainerRequest, c *types.ContainerCreateConfig) {
	h, o := c.HostConfig, r.GetConfig().GetLinux().GetSecurityContext().GetNamespaceOptions()
	c.Hostname = r.GetSandboxConfig().GetHostname()
	h.CgroupParent = r.GetSandboxConfig().GetLinux().GetCgroupParent()
	mode := func(m runtime.NamespaceMode, private string) string {
		switch m {
		case runtime.NamespaceMode_NODE:
			return "host"
		case runtime.NamespaceMode_POD:
			return "container:" + r.GetPodSandboxId()
		case runtime.NamespaceMode_TARGET:
			return "container:" + o.GetTargetId()
		}
		return private
	}
	h.NetworkMode = container.NetworkMode(mode(o.GetNetwork(), ""))
	h.PidMode = container.PidMode(mode(o.GetPid(), ""))
	h.IpcMode = container.IpcMode(mode(o.GetIpc(), string(container.IPCModePrivate)))
	if o.GetNetwork() == runtime.NamespaceMode_NODE {
		h.UTSMode = "host"
	}
	if u := o.GetUsernsOptions(); u != nil && u.GetMode() == runtime.NamespaceMode_NODE {
		h.UsernsMode = "host"
	}
}

// carryPod carries nothing: the pod's namespaces exist already.
func carryPod(*change) {}
