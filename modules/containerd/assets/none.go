//go:build !assets

package assets

// All are empty: this binary carries no programs, unless a main function of
// one's own, such as `demo-daemon build` writes it, brings them.
var Runc, RuncDigest, Shim, ShimDigest, Pause string
