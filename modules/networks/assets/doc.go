// Package assets holds the CNI programs that the binary carries. They are
// there when it is built with the tag "assets", for which `make assets` has
// built them and left them beside this file; without the tag they are looked
// for where distributions put them.
package assets
