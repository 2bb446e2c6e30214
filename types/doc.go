// Package types holds the plain data that hooks, modules and clients exchange.
//
// Docker's own wire types (github.com/moby/moby/api) lie underneath, so that
// a request body decodes into these types exactly as dockerd would decode it;
// what PouchContainer adds is added by embedding. The package depends on
// nothing else of this project and runs no code of its own.
package types
