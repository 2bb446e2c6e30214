//go:build assets

package assets

import _ "embed"

// Programs is a tar of the CNI programs bridge and host-local as zstd; empty
// when the binary carries none.
//
//go:embed cni.tar.zst
var Programs string

// Digest is the hexadecimal SHA-256 of the uncompressed tar.
//
//go:embed cni.tar.sha256
var Digest string
