// Package cri is the door through which Kubernetes comes in: a CRI endpoint on
// a unix socket, where every RPC passes unchanged to containerd's own CRI, of
// the embedded engine or of an external containerd, and four of them pass
// through the plugins first:
//
//	CreateContainer           PreCreateContainer, then PreCreate
//	StartContainer            PreStart
//	UpdateContainerResources  PreUpdate, and PostUpdate after it
//	PullImage                 PostPull after it
//
// What plugins change goes back into the request where CRI has a field for it
// (package mapping). What CRI lacks and an OCI spec has waits in an annotation
// of the container, AnnotationSpec, until its start, where it is written into
// the specification in containerd, together with what PreStart asks for. What
// neither has is refused by the name of the field and of the plugin.
//
// containerd keeps everything; this package holds nothing that a restart could
// lose.
package cri
