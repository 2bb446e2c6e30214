// Package plugins is the contract between the daemon and those who change
// what it does: six interfaces with eleven hooks, as PouchContainer's
// hookplugins package has them, and Provide, which turns a constructor into a
// plugin of a daemon.
//
// A plugin is plain Go. It implements one or more of the interfaces, embeds
// ContainerBase or DaemonBase for the hooks it does not need, and says in its
// module.go how it is provided:
//
//	var Module = plugins.Provide("env-limits", New, plugins.Priority(50))
//
// The daemon calls the hooks of one kind in one order everywhere: bigger
// priority first, then by name. Each call is guarded: a panic becomes an
// error, a hook that does not answer in time is abandoned, and every plugin
// works on a copy, so that what a failed hook wrote reaches nobody. A hook's
// context ends when the hook returns. Errors
// carry the names of the plugin and the hook; an error of a class of
// github.com/containerd/errdefs chooses the status that the client sees.
//
// Plugins that register themselves from init, as PouchContainer's did, use
// the six Register functions; what those collect joins the same chains.
package plugins
