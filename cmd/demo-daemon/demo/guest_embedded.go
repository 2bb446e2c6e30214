//go:build demo

package demo

import _ "embed"

// guest is the program of the demo's container, that make has built.
//
//go:embed guest.bin
var guest []byte
