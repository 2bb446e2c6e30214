// Package fsview reads and writes the files of a container as the container
// sees them: its root filesystem with its volumes and bind mounts, whether it
// runs or not.
//
// What a container holds is not to be trusted, and it may change it at any
// moment: a name that was a file can be a link to the host's /etc when it is
// opened. So a View is a mount namespace of its own in which there is nothing
// but the container's files; no device in it can be opened; and every path is
// resolved by the kernel as if the View's root were the root of all
// (openat2(2) with RESOLVE_IN_ROOT), without the links of /proc that lead
// anywhere. What is opened is looked at again before it is read, and written
// only when it was made by us. So a container that swaps names under our hands
// makes us copy another of its own files, or fail; never one of the host's.
//
// It needs Linux 5.12 (mount_setattr(2)) and root.
package fsview
