// Package containerd is the engine: containerd, embedded in this process or
// an external one by its address, with the runtime that starts containers.
//
// The embedded engine loads containerd's own plugins, a chosen set of them,
// and talks to them in memory: there is no gRPC socket and no second process.
// Containers run under shims (package shim) that survive the daemon. The shim
// and runc are those that the binary carries (package assets); one that carries
// none is the shim itself, in another role, and takes runc from PATH.
//
// An external containerd is driven through the same client, with the same
// shim and runc, by their absolute paths; it must run on this host. It keeps
// finished tasks by itself while the daemon is down, and their shims their
// output, so that there is nothing to recover from it: LastExit knows nothing
// and ReleaseOutput has nothing to let go of.
//
// With CRIConfig the engine has containerd's CRI too, as a gRPC connection: that
// of the embedded one is in memory, when package criplugins is linked, and
// nobody outside this process reaches it. An external containerd need not run
// then when the engine starts: kubelet is to see that it does not, and it may
// come and go.
//
// Some of containerd's settings are process-wide (where it mounts things for
// a moment, what a fatal error does), so that a process runs one embedded
// engine at a time; it may start and stop any number of them in turn.
package containerd
