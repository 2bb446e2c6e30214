// Package hooks has a short example of each of the eleven hooks, and of what
// goes with them. docs/plugins.md quotes it; a test of this package sees to it
// that it does so to the letter.
package hooks
