// Package daemon is the command demo-daemon without its main function: the
// command line, and the targets, that is what a daemon is composed of. One of
// the files target_*.go, which the build tags choose, lists the modules and the
// plugins; nothing else names both. A main function of one's own adds plugins:
//
//	func main() { daemon.Main(quota.Module) }
package daemon

import (
	"os"
	"slices"

	"github.com/pouchfx/pouchfx/app"
	"github.com/pouchfx/pouchfx/modules/containers/role"
	"github.com/pouchfx/pouchfx/plugins"
)

// Main is all that the main function of a daemon does: it plays the part that
// the process was started for, or runs the command line with more plugins in
// each of the targets, and ends the process.
func Main(more ...*plugins.Provided) {
	status, played := role.Play()
	if !played {
		status = run(with(more), os.Args[1:], os.Stdout, os.Stderr)
	}
	os.Exit(status)
}

// with returns the targets with more plugins.
func with(more []*plugins.Provided) []app.Target {
	extended := slices.Clone(targets)
	for i := range extended {
		extended[i].Plugins = slices.Concat(extended[i].Plugins, more)
	}
	return extended
}
