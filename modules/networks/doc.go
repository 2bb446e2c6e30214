// Package networks gives containers their networks: interfaces and addresses
// through CNI, published ports and isolation through nftables, and names
// through a name server in each namespace.
//
// A container that is on a network has a sandbox: a network namespace and what
// is plugged into it. The namespace is made before the container's process
// and taken down after its end, whatever happens to the daemon meanwhile; what
// is needed for that is written down before it is done.
package networks
