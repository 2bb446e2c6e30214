// Command example-daemon is demo-daemon with one plugin more: a daemon of one's
// own.
package main

import (
	"example.com/gatekeeper"

	"github.com/pouchfx/pouchfx/cmd/demo-daemon/daemon"
)

func main() { daemon.Main(gatekeeper.Module) }
