//go:build assets

package assets

import _ "embed"

// Runc is runc as zstd; empty when the binary carries none.
//
//go:embed runc.zst
var Runc string

// RuncDigest is the hexadecimal SHA-256 of the uncompressed runc.
//
//go:embed runc.sha256
var RuncDigest string

// Shim is the shim as zstd; empty when the binary carries none.
//
//go:embed shim.zst
var Shim string

// ShimDigest is the hexadecimal SHA-256 of the uncompressed shim.
//
//go:embed shim.sha256
var ShimDigest string

// Pause is the first process of pods, less than a kilobyte and not compressed;
// empty when the binary carries none.
//
//go:embed pause
var Pause string
