//go:build !assets

package assets

// Runc and RuncDigest are empty: this binary carries no runc.
const Runc, RuncDigest = "", ""

// Shim and ShimDigest are empty: this binary carries no shim.
const Shim, ShimDigest = "", ""

// Pause is empty: this binary carries no first process of pods.
const Pause = ""
