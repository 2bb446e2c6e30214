// Package assets holds the programs that the binary carries. They are there
// when it is built with the tag "assets", for which `make bin/assets` has
// built runc and left it beside this file; without the tag the engine takes
// runc from PATH.
package assets
