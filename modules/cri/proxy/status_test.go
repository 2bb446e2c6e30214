package proxy

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	spb "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
)

// refused is an error with details that nobody but its reader can decode, and
// with a field that a newer status may have.
func refused(t *testing.T) error {
	t.Helper()
	st := &spb.Status{
		Code:    int32(codes.FailedPrecondition),
		Message: "pod \"pöd\" is\ngone: 100%",
		Details: []*anypb.Any{{TypeUrl: "example.com/Unheard.Of", Value: randomBytes(300)}, {TypeUrl: "second"}},
	}
	st.ProtoReflect().SetUnknown([]byte{0xf8, 0x3f, 0x07}) // field 1023
	return status.ErrorProto(st)
}

func assertSameStatus(t *testing.T, want, got error) {
	t.Helper()
	assert.True(t, proto.Equal(status.Convert(want).Proto(), status.Convert(got).Proto()), "want %v, got %v", want, got)
}

func TestErrorsKeepCodeTextAndDetails(t *testing.T) {
	want := refused(t)
	s := start(t, settings{handler: func(any, grpc.ServerStream) error { return want }})
	_, err := s.call(within(t), version, nil)
	assertSameStatus(t, want, err)

	_, err = recvBytes(s.open(t, within(t), events))
	assertSameStatus(t, want, err)
}

func TestEveryCodePasses(t *testing.T) {
	for code := codes.Canceled; code <= codes.Unauthenticated+1; code++ { // one that does not exist, too
		s := start(t, settings{handler: func(any, grpc.ServerStream) error { return status.Error(code, "") }})
		_, err := s.call(within(t), version, nil)
		assert.Equal(t, code, status.Code(err))
	}
}

func TestErrorAfterMessagesComesAfterThem(t *testing.T) {
	want := refused(t)
	s := start(t, settings{handler: func(_ any, s grpc.ServerStream) error {
		for range 3 {
			if err := sendBytes(s, randomBytes(70_000)); err != nil {
				return err
			}
		}
		return want
	}})
	stream := s.open(t, within(t), events)
	for range 3 {
		got, err := recvBytes(stream)
		require.NoError(t, err)
		assert.Len(t, got, 70_000)
	}
	_, err := recvBytes(stream)
	assertSameStatus(t, want, err)
}

// telling answers with the metadata that it got, and with headers and trailers
// of its own.
func telling(end error) grpc.StreamHandler {
	return func(_ any, s grpc.ServerStream) error {
		if err := s.SetHeader(metadata.Pairs("head", "1", "head", "2", "head-bin", "\x00\xff\n")); err != nil {
			return err
		}
		s.SetTrailer(metadata.Pairs("tail", "3", "tail", "4", "tail-bin", "\x00\xfe"))
		b, err := json.Marshal(metadataOf(s))
		if err != nil {
			return err
		}
		return errors.Join(sendBytes(s, b), end)
	}
}

func metadataOf(s grpc.ServerStream) metadata.MD {
	md, _ := metadata.FromIncomingContext(s.Context())
	return md
}

var asked = metadata.Pairs("traceparent", "00-1-2-01", "many", "a", "many", "b", "grpc-trace-bin", "\x01\x00\xff")

func TestMetadataHeadersAndTrailersPass(t *testing.T) {
	forward := map[string]Interceptor{version: func(ctx context.Context, request []byte, invoke Invoke) ([]byte, error) {
		return invoke(ctx, request)
	}}
	for name, interceptors := range map[string]map[string]Interceptor{"relayed": nil, "intercepted": forward} {
		for _, end := range []error{nil, status.Error(codes.NotFound, "no such pod")} {
			t.Run(name, func(t *testing.T) {
				s := start(t, settings{handler: telling(end), interceptors: interceptors})
				var header, trailer metadata.MD
				got, err := s.call(metadata.NewOutgoingContext(within(t), asked), version, nil, grpc.Header(&header), grpc.Trailer(&trailer))
				assert.Equal(t, status.Code(end), status.Code(err))

				if end == nil {
					var came metadata.MD
					require.NoError(t, json.Unmarshal(got, &came))
					for key, values := range asked {
						assert.Equal(t, asText(t, values), asText(t, came[key]), key)
					}
				}
				assert.Equal(t, []string{"1", "2"}, header["head"])
				assert.Equal(t, []string{"\x00\xff\n"}, header["head-bin"])
				assert.Equal(t, []string{"3", "4"}, trailer["tail"])
				assert.Equal(t, []string{"\x00\xfe"}, trailer["tail-bin"])
			})
		}
	}
}

// asText makes values comparable that went through JSON, which is for text.
func asText(t *testing.T, values []string) string {
	t.Helper()
	b, err := json.Marshal(values)
	require.NoError(t, err)
	var again []string
	require.NoError(t, json.Unmarshal(b, &again))
	b, err = json.Marshal(again)
	require.NoError(t, err)
	return string(b)
}

func TestWhatConcernsOneConnectionStaysThere(t *testing.T) {
	came := make(chan metadata.MD, 2)
	s := start(t, settings{
		handler: func(_ any, s grpc.ServerStream) error { came <- metadataOf(s); return nil },
		dial:    []grpc.DialOption{grpc.WithUserAgent("kubelet"), grpc.WithAuthority("kubelet.test")},
	})
	ctx := metadata.AppendToOutgoingContext(within(t), "grpc-accept-encoding", "zstd")
	_, err := recvBytes(s.open(t, ctx, version))
	require.ErrorIs(t, err, io.EOF)
	md := <-came
	assert.NotContains(t, md["user-agent"][0], "kubelet")
	assert.Equal(t, []string{"localhost"}, md[":authority"])
	assert.Len(t, md["content-type"], 1)
	assert.Equal(t, []string{"gzip"}, md["grpc-accept-encoding"], "it would compress so that we cannot read it")
}

func TestCallThatEndsWithoutHeadersHasNone(t *testing.T) {
	s := start(t, settings{handler: func(_ any, s grpc.ServerStream) error {
		s.SetTrailer(metadata.Pairs("tail", "1"))
		return status.Error(codes.NotFound, "no such container")
	}})
	for name, conn := range map[string]*grpc.ClientConn{"direct": s.direct, "proxy": s.client} {
		stream, err := conn.NewStream(within(t), both, events, clientOptions...)
		require.NoError(t, err)
		header, err := stream.Header()
		require.NoError(t, err)
		assert.Nil(t, header, name)
		_, err = recvBytes(stream)
		assert.Equal(t, codes.NotFound, status.Code(err), name)
		assert.Equal(t, []string{"1"}, stream.Trailer()["tail"], name)
	}
}
