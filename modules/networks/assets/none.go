//go:build !assets

package assets

// Programs and Digest are empty: this binary carries no CNI programs, unless a
// main function of one's own, such as `demo-daemon build` writes it, brings
// them.
var Programs, Digest string
