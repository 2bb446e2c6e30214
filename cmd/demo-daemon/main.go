// Command demo-daemon is a container daemon with a Docker-compatible API,
// composed from the modules of this repository. Its targets, that is what it
// is composed of, are in the files target_*.go.
package main

import (
	"os"

	"github.com/pouchfx/pouchfx/modules/containerd/shim"
	"github.com/pouchfx/pouchfx/modules/containers/initrole"
	"github.com/pouchfx/pouchfx/modules/containers/runtimehook"
)

// The one binary plays other parts too: containerd starts it as the shim of
// each container, runc as the hook that sets up networks, and --init as a
// container's first process. They come first, for they know nothing of flags
// and configuration.
func main() {
	switch {
	case shim.Requested():
		shim.Run()
	case runtimehook.Requested():
		os.Exit(runtimehook.Run())
	case initrole.Requested():
		os.Exit(initrole.Run())
	default:
		os.Exit(run(os.Args[1:], os.Stdout, os.Stderr))
	}
}
