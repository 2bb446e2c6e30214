// Package registry turns the plugins of a daemon into one ordered, guarded
// chain per kind. A chain implements the interface of its links, so that the
// engine asks for one plugins.ContainerPlugin and never knows how many there
// are.
//
// All hooks of all kinds go through one function, run. It calls the plugins
// one after the other, bigger priority first and then by name; each works on a
// copy of what the one before left, within its timeout, and its copy counts
// only if it returns without an error.
//
// The roster knows each plugin once, whatever its kinds; the chains are built
// from it one by one, so that building one kind constructs no plugin of
// another.
package registry
