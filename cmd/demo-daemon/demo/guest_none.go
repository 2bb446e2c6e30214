//go:build !demo

package demo

// guest is empty: this binary was not built for the demo.
var guest []byte
