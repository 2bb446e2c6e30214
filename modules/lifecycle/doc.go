// Package lifecycle is what modules may know of the daemon's own life: the
// timeline of its start and stop, and how to end it when it cannot go on. The
// app package, which modules do not import, fills both.
package lifecycle
