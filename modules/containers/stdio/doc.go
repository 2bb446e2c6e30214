// Package stdio carries a process's standard streams between the named pipes
// that its shim holds and whoever is interested: a log and attached clients.
//
// A Hub has one reader per stream, so that log and clients see the same bytes
// in the same order. The log comes first; a client is served through a bounded
// queue of its own, and one that does not read is cut off after a while, so
// that it cannot stop the process for ever.
package stdio
