package proxy

import (
	"bytes"
	"strings"
	"testing"

	"google.golang.org/grpc/mem"
)

// The name of the method is all that the proxy itself reads.
func FuzzOnlyCRIsMethodsMayBeCalled(f *testing.F) {
	for _, m := range []string{version, "/runtime.v1.ImageService/", "/runtime.v1.RuntimeService", "//", "/", "", "x", "/a/runtime.v1.RuntimeService/b"} {
		f.Add(m)
	}
	f.Fuzz(func(t *testing.T, method string) {
		want := ""
		for _, name := range []string{"runtime.v1.RuntimeService", "runtime.v1.ImageService"} {
			if rest, ok := strings.CutPrefix(method, "/"+name+"/"); ok && !strings.Contains(rest, "/") {
				want = name
			}
		}
		got := ""
		if s := serviceOf(method); s != nil {
			got = s.ServiceName
		}
		if want != got {
			t.Fatalf("method %q is of service %q, not %q", method, got, want)
		}
	})
}

// Buffers come in pieces, and are used again as soon as they are free.
func FuzzFramesKeepTheirBytes(f *testing.F) {
	f.Add([]byte("some message"), 3)
	f.Add([]byte{}, 1)
	f.Fuzz(func(t *testing.T, message []byte, piece int) {
		piece = max(1, piece)
		var came mem.BufferSlice
		for rest := message; len(rest) > 0; rest = rest[min(piece, len(rest)):] {
			came = append(came, mem.Copy(rest[:min(piece, len(rest))], mem.DefaultBufferPool()))
		}
		var fr frame
		if err := (codec{}).Unmarshal(came, &fr); err != nil {
			t.Fatal(err)
		}
		came.Free() // as gRPC does
		goes, err := codec{}.Marshal(&fr)
		if err != nil {
			t.Fatal(err)
		}
		fr.free()
		if !bytes.Equal(message, goes.Materialize()) {
			t.Fatalf("%x became %x", message, goes.Materialize())
		}
		goes.Free()
	})
}
