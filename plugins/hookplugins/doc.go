// Package hookplugins lets a plugin that was written for PouchContainer run in
// a daemon of this project with nothing but its imports changed:
//
//	import hookplugins "github.com/pouchfx/pouchfx/plugins/hookplugins"
//
//	func init() { hookplugins.RegisterContainerPlugin(&contPlugin{}) }
//
// Its Register functions have the names of PouchContainer's package of this
// name and take the hooks of every release: with a context and without one,
// with a request body or a typed configuration. A handler finds the variables
// of its route with gorilla/mux, as there. docs/migrating.md goes through it
// step by step.
//
// New plugins do not need the package: they implement the interfaces of
// package plugins. Nothing else imports it, so that a daemon without such
// plugins does not carry what it needs.
package hookplugins
