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
