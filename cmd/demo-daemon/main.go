// Command demo-daemon is a container daemon with a Docker-compatible API,
// composed from the modules of this repository. A daemon with plugins of your
// own is this file with them as arguments: copy it, or have it made by
// `demo-daemon build`.
package main

import "github.com/pouchfx/pouchfx/cmd/demo-daemon/daemon"

func main() {
	daemon.Main()
}
