//go:build !assets

package assets

// Programs and Digest are empty: this binary carries no CNI programs.
const Programs, Digest = "", ""
