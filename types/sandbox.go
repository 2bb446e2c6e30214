package types

// SandboxMeta describes the pod sandbox into which the CRI front end makes a
// container: what the PreCreateContainer hook gets beside the configuration.
type SandboxMeta struct {
	// ID is the sandbox's id.
	ID string
	// Name, Namespace and UID are the pod's.
	Name, Namespace, UID string
	// Attempt counts the sandboxes made for the pod, from 0.
	Attempt uint32
	// Hostname is the pod's host name.
	Hostname string
	// LogDirectory is where the pod's containers log.
	LogDirectory string
	// Labels and Annotations are the pod's.
	Labels, Annotations map[string]string
	// Runtime is the runtime handler; empty means the default one.
	Runtime string
	// CgroupParent is the pod's cgroup.
	CgroupParent string
	// NetNS is the path of the pod's network namespace; empty with the
	// host's network.
	NetNS string
}
