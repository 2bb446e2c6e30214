// Command demo-daemon is a container daemon with a Docker-compatible API,
// composed from the modules of this repository. Its targets, that is what it
// is composed of, are in the files target_*.go.
package main

import (
	"os"

	"github.com/pouchfx/pouchfx/modules/containers/role"
)

func main() {
	status, played := role.Play()
	if !played {
		status = run(os.Args[1:], os.Stdout, os.Stderr)
	}
	os.Exit(status)
}
