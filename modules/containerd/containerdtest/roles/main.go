// Command roles plays the parts of the daemon's binary that containers need:
// shim, runtime hook and init. Test binaries with the race detector use it,
// as a process that starts in milliseconds without it takes seconds with it.
package main

import (
	"fmt"
	"os"

	"github.com/pouchfx/pouchfx/modules/containers/role"
)

func main() {
	status, played := role.Play()
	if !played {
		fmt.Fprintln(os.Stderr, "roles: started as no shim, hook or init")
		status = 2
	}
	os.Exit(status)
}
