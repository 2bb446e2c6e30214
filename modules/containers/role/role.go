// Package role plays the other parts of the daemon's binary: containerd starts
// it as the shim of each container, runc as the hook that sets up networks, and
// --init as a container's first process.
package role

import (
	"github.com/pouchfx/pouchfx/modules/containerd/shim"
	"github.com/pouchfx/pouchfx/modules/containers/initrole"
	"github.com/pouchfx/pouchfx/modules/containers/runtimehook"
)

// Play plays the part that the process was started for and returns its exit
// status; played is false in a process that is to be the daemon, or a command.
// A main calls it before anything else: the parts know nothing of flags and
// configuration.
func Play() (status int, played bool) {
	switch {
	case shim.Requested():
		shim.Run()
		return 0, true
	case runtimehook.Requested():
		return runtimehook.Run(), true
	case initrole.Requested():
		return initrole.Run(), true
	}
	return 0, false
}
