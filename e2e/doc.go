// Package e2e drives the daemon as its users do: the real binary, started as
// a process on a temporary root, with Docker's own Go client and, where it is
// installed, the docker CLI. Every test that does not need a daemon of its own
// runs on two shared ones, one with the embedded containerd and one with a
// stock containerd that the suite starts. All of it runs in a network namespace
// of its own.
package e2e
