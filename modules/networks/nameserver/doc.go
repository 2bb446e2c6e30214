// Package nameserver answers the DNS queries of one container: names of other
// containers itself, every other name by asking the servers that the host
// uses.
//
// A server listens inside the container's network namespace, on 127.0.0.11 as
// Docker's does, and asks other servers from the daemon's namespace, so that a
// server on the host's loopback is reached too.
package nameserver
