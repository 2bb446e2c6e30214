package proxy

import (
	"fmt"

	"google.golang.org/grpc/encoding/proto"
	"google.golang.org/grpc/mem"
)

// frame is one message: bytes that nobody looks at, in the buffers in which
// they came.
type frame struct{ data mem.BufferSlice }

func newFrame(b []byte) *frame { return &frame{data: mem.BufferSlice{mem.SliceBuffer(b)}} }

// free gives the buffers back, which then may be used for another message.
func (f *frame) free() {
	f.data.Free()
	f.data = nil
}

// codec passes frames. It bears protobuf's name, because the bytes are
// protobuf on the wire, and for this it must be forced, never registered: it
// would take protobuf's place in all of the daemon.
type codec struct{}

func (codec) Name() string { return proto.Name }

// Marshal lends the buffers of the frame to gRPC, which frees its reference.
func (codec) Marshal(v any) (mem.BufferSlice, error) {
	f, ok := v.(*frame)
	if !ok {
		return nil, fmt.Errorf("%T is not a frame of bytes", v)
	}
	f.data.Ref()
	return f.data, nil
}

// Unmarshal keeps the buffers, until the frame is freed.
func (codec) Unmarshal(data mem.BufferSlice, v any) error {
	f, ok := v.(*frame)
	if !ok {
		return fmt.Errorf("%T is not a frame of bytes", v)
	}
	data.Ref()
	f.data = data
	return nil
}
