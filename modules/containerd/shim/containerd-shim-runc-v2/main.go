// Command containerd-shim-runc-v2 is package shim and nothing else, as the
// daemon's binary carries it.
package main

import "github.com/pouchfx/pouchfx/modules/containerd/shim"

func main() { shim.Run() }
