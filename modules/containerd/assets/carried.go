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

// Pause is the first process of pods, less than a kilobyte and not compressed;
// empty when the binary carries none.
//
//go:embed pause
var Pause string
