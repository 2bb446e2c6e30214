// Package assets holds the programs that the binary carries. They are there
// when it is built with the tag "assets", for which `make assets` has built
// them and left them beside this file; without the tag the engine takes runc
// from PATH, the binary is the shim, too, and there are no pods.
package assets
