// Package app composes a daemon from a target, that is from modules and
// plugins, and runs it: it starts them in order, each step bounded and
// guarded, ends them in the reverse order on every path, and says with the
// exit status how it went. No feature lives here.
//
// fx assembles the daemon and keeps the order of its hooks. Three things are
// app's own, because fx would skip what is left to stop when a deadline passes
// or a hook panics, and would die of a signal that comes early: a lifecycle
// that bounds each hook by itself, the taking of signals before anything is
// constructed, and contexts without a deadline for fx.
package app
