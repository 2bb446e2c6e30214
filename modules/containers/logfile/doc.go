// Package logfile keeps a container's output in Docker's json-file format: one
// JSON object per line of output, {"log":"text\n","stream":"stdout",
// "time":"…"}, in a file that is rotated by size. The files that were rotated
// away are named .1, .2 and so on, the newest first, and may be compressed with
// gzip: .1.gz. The driver local keeps the same format.
//
// A Log is both the writer and the place to read from, so that a reader that
// follows is woken by the writer, and finds the next file when one was
// rotated away below it. There is one Log per container, for as long as the
// daemon knows the container.
package logfile
