//go:build !assets

package assets

// Runc and RuncDigest are empty: this binary carries no runc.
const Runc, RuncDigest = "", ""
