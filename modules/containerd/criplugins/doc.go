// Package criplugins links the parts of containerd that make up its CRI into a
// binary, for the embedded engine to start where the configuration asks for
// it. A target without a CRI endpoint does not import it and stays smaller.
//
// containerd's NRI is not among them: when an engine is started a second time in
// a process, it would end the process.
package criplugins

import (
	_ "github.com/containerd/containerd/v2/plugins/cri"
	_ "github.com/containerd/containerd/v2/plugins/cri/images"
	_ "github.com/containerd/containerd/v2/plugins/cri/runtime"
	_ "k8s.io/cri-api/pkg/apis/runtime/v1" // what it speaks
)
