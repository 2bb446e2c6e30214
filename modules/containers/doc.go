// Package containers makes, runs and removes containers.
//
// A container is a record of containerd with a snapshot, and what this daemon
// knows about it in one extension of that record: containerd's store is the
// single source of truth, and the daemon's view in memory is rebuilt from it
// at every start. What a client was told is in the record before it is told;
// what a kill -9 leaves half-made is undone by the next start (reconcile.go).
//
// Locks: each container has an operation lock, which is held by what changes
// its life (start, update, rename, remove) and over the hooks of plugins; a
// record is replaced as a whole and read without a lock. Nothing holds a lock
// of the service while it waits.
//
// The subjects, each in a file of its name: create, start, exit, stop, remove,
// exec, attach, logs, wait, update, list, inspect, top, reconcile. The words of
// Docker's API are read by mountspec, turned into a runtime's by ocispec;
// output flows through stdio into logfile.
//
// Networks are those of modules/networks. validatenetwork settles on which of
// them a container is to be, endpoints makes of that what one start needs, with
// the hooks of plugins, sandbox has it set up and taken down, connect changes
// it while the container runs; hosts and resolvconf are the files in which the
// container finds names. Where plugins have runtime hooks the network's turn
// among them comes through runtimehook.
package containers
