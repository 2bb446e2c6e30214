// Package decompress reads archives that clients send, compressed or not.
package decompress

import (
	"bufio"
	"bytes"
	"compress/bzip2"
	"compress/gzip"
	"errors"
	"fmt"
	"io"

	"github.com/klauspost/compress/zstd"
	"github.com/therootcompany/xz"
)

// maxWindow bounds the memory that a compressed stream can make its reader
// use, in bytes. xz -9 needs 64 MiB, zstd -19 8 MiB and zstd --long 128 MiB.
const maxWindow = 128 << 20

// formats are told by how a stream begins.
var formats = []struct {
	name, magic string
	open        func(io.Reader) (io.ReadCloser, error)
}{
	{"gzip", "\x1f\x8b\x08", func(r io.Reader) (io.ReadCloser, error) { return gzip.NewReader(r) }},
	{"bzip2", "BZh", func(r io.Reader) (io.ReadCloser, error) { return io.NopCloser(bzip2.NewReader(r)), nil }},
	{"xz", "\xfd7zXZ\x00", func(r io.Reader) (io.ReadCloser, error) {
		x, err := xz.NewReader(r, maxWindow)
		return io.NopCloser(x), err
	}},
	{"zstd", "\x28\xb5\x2f\xfd", func(r io.Reader) (io.ReadCloser, error) {
		z, err := zstd.NewReader(r, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(maxWindow))
		if err != nil {
			return nil, err
		}
		return z.IOReadCloser(), nil
	}},
}

// NewReader returns what r holds, decompressed if it begins as gzip, bzip2, xz
// or zstd do. Its Close does not close r.
func NewReader(r io.Reader) (io.ReadCloser, error) {
	buffered := bufio.NewReaderSize(r, 32<<10)
	head, err := buffered.Peek(6)
	if err != nil && !errors.Is(err, io.EOF) { // shorter is no archive of theirs
		return nil, err
	}
	for _, f := range formats {
		if bytes.HasPrefix(head, []byte(f.magic)) {
			opened, err := f.open(buffered)
			if err != nil {
				return nil, fmt.Errorf("cannot read the %s archive: %w", f.name, err)
			}
			return opened, nil
		}
	}
	return io.NopCloser(buffered), nil
}
