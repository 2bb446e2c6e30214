// Package testcontainers has the tests of a project that uses
// testcontainers-go and knows nothing of the daemon but DOCKER_HOST and an
// image, box:latest, that is there. The end-to-end suite builds and runs them.
// With TESTCONTAINERS_RYUK_DISABLED=true they clean up after themselves; else
// there is an image of the reaper, too.
package testcontainers
