package api

import (
	"encoding/binary"
	"io"
	"sync"

	"github.com/moby/moby/api/pkg/stdcopy"
)

// maxFrame bounds a frame: more output makes several.
const maxFrame = 32 << 10

// frames writes the output streams of a container into one, each chunk behind
// a header that names its stream and length. A header and its payload are one
// write, so that they never part.
type frames struct {
	mu     sync.Mutex
	out    io.Writer
	buffer []byte
}

func (f *frames) write(stream stdcopy.StdType, p []byte) (written int, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for len(p) > 0 {
		chunk := p[:min(len(p), maxFrame)]
		f.buffer = append(f.buffer[:0], byte(stream), 0, 0, 0)
		f.buffer = binary.BigEndian.AppendUint32(f.buffer, uint32(len(chunk)))
		f.buffer = append(f.buffer, chunk...)
		if _, err := f.out.Write(f.buffer); err != nil {
			return written, err
		}
		written += len(chunk)
		p = p[len(chunk):]
	}
	return written, nil
}

// frameWriter writes one of the streams.
type frameWriter struct {
	frames *frames
	stream stdcopy.StdType
}

func (w frameWriter) Write(p []byte) (int, error) { return w.frames.write(w.stream, p) }

// split returns writers of standard output and error that share out: as
// frames, or as they come when there is a terminal.
func split(out io.Writer, tty bool) (stdout, stderr io.Writer) {
	if tty {
		return out, out
	}
	f := &frames{out: out}
	return frameWriter{f, stdcopy.Stdout}, frameWriter{f, stdcopy.Stderr}
}
