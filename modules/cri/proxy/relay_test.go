package proxy

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	runtime "k8s.io/cri-api/pkg/apis/runtime/v1"
)

func randomBytes(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.NewChaCha8([32]byte{1}).Read(b)
	return b
}

// frames are messages of all kinds.
var frames = map[string][]byte{
	"empty":        {},
	"one byte":     {0},
	"not protobuf": {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff},
	"text":         []byte("this is not protobuf"),
	"a few pages":  randomBytes(100_001),
	"20 MiB":       randomBytes(20 << 20),
}

func TestBytesPassAsTheyAre(t *testing.T) {
	s := start(t, settings{handler: echo})
	for name, b := range frames {
		t.Run(name, func(t *testing.T) {
			got, err := s.call(within(t), version, b)
			require.NoError(t, err)
			assert.True(t, bytes.Equal(b, got), "%d bytes came back as %d others", len(b), len(got))
		})
	}
}

func TestEveryMethodOfCRIPasses(t *testing.T) {
	s := start(t, settings{handler: echo})
	want := []string{future, "/runtime.v1.ImageService/MethodOfANewerCRI"}
	for _, service := range []*grpc.ServiceDesc{&runtime.RuntimeService_ServiceDesc, &runtime.ImageService_ServiceDesc} {
		for _, m := range service.Methods {
			want = append(want, "/"+service.ServiceName+"/"+m.MethodName)
		}
		for _, m := range service.Streams {
			want = append(want, "/"+service.ServiceName+"/"+m.StreamName)
		}
	}
	for _, method := range want {
		got, err := s.call(within(t), method, []byte(method))
		require.NoError(t, err)
		assert.Equal(t, method, string(got))
	}
	assert.Equal(t, want, s.upstream.called())
}

func TestManyMessagesPassBothWaysInOrder(t *testing.T) {
	s := start(t, settings{handler: echo})
	stream := s.open(t, within(t), future)
	for i := range 500 {
		sent := randomBytes(i * 17)
		require.NoError(t, sendBytes(stream, sent))
		got, err := recvBytes(stream)
		require.NoError(t, err)
		require.True(t, bytes.Equal(sent, got))
	}
	require.NoError(t, stream.CloseSend())
	_, err := recvBytes(stream)
	assert.ErrorIs(t, err, io.EOF)
}

func TestHalfCloseReachesUpstreamAndItsAnswerTheClient(t *testing.T) {
	s := start(t, settings{handler: func(_ any, s grpc.ServerStream) error {
		for n := 0; ; n++ {
			if _, err := recvBytes(s); err == io.EOF {
				return sendBytes(s, fmt.Append(nil, n))
			} else if err != nil {
				return err
			}
		}
	}})
	stream := s.open(t, within(t), future)
	for range 3 {
		require.NoError(t, sendBytes(stream, []byte("x")))
	}
	require.NoError(t, stream.CloseSend())
	got, err := recvBytes(stream)
	require.NoError(t, err)
	assert.Equal(t, "3", string(got))
}

func TestStreamWithoutMessagesEndsWell(t *testing.T) {
	s := start(t, settings{handler: func(any, grpc.ServerStream) error { return nil }})
	stream := s.open(t, within(t), future)
	_, err := recvBytes(stream) // the client has not half-closed
	assert.ErrorIs(t, err, io.EOF)
}

func TestOnlyCRICanBeReached(t *testing.T) {
	s := start(t, settings{handler: echo})
	for _, method := range []string{
		"/containerd.services.containers.v1.Containers/List",
		"/runtime.v1alpha2.RuntimeService/Version",
		"/runtime.v1.RuntimeService2/Version",
		"/runtime.v1.RuntimeService/Version/More",
		"//runtime.v1.RuntimeService/Version",
		"/x/runtime.v1.RuntimeService/Version",
		"/runtime.v1./RuntimeService/Version",
		"/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
		"/grpc.health.v1.Health/Check",
		"//",
		"/Version",
	} {
		_, err := s.call(within(t), method, nil)
		assert.Equal(t, codes.Unimplemented, status.Code(err), "%s: %v", method, err)
	}
	assert.Empty(t, s.upstream.called())
}

func TestUnknownMethodIsUpstreamsToRefuse(t *testing.T) {
	refusal := status.Error(codes.Unimplemented, "unknown method MethodOfANewerCRI for service runtime.v1.RuntimeService")
	s := start(t, settings{handler: func(any, grpc.ServerStream) error { return refusal }})
	_, err := s.call(within(t), future, nil)
	assert.Equal(t, refusal.Error(), err.Error())
	assert.Equal(t, []string{future}, s.upstream.called())
}

func TestMessageOverTheLimitIsRefused(t *testing.T) {
	big := make([]byte, MaxMessage+1)
	s := start(t, settings{handler: func(_ any, s grpc.ServerStream) error {
		b, err := recvBytes(s)
		if err == nil && len(b) == 0 {
			err = sendBytes(s, big)
		}
		return err
	}, upstream: []grpc.ServerOption{grpc.MaxSendMsgSize(1 << 30)}})
	for name, request := range map[string][]byte{"request": big, "response": nil} {
		_, err := s.call(within(t), version, request)
		assert.Equal(t, codes.ResourceExhausted, status.Code(err), "%s: %v", name, err)
		assert.ErrorContains(t, err, "67108865 vs. 67108864")
	}
}

func TestMessageOfTheLimitPasses(t *testing.T) {
	s := start(t, settings{handler: func(_ any, s grpc.ServerStream) error {
		b, err := recvBytes(s)
		if err != nil {
			return err
		}
		return sendBytes(s, fmt.Append(nil, len(b)))
	}})
	got, err := s.call(within(t), version, make([]byte, MaxMessage))
	require.NoError(t, err)
	assert.Equal(t, "67108864", string(got))
}

func TestCompressedRequestsReachUpstream(t *testing.T) {
	s := start(t, settings{handler: echo})
	b := bytes.Repeat([]byte("pod "), 100_000)
	got, err := s.call(within(t), version, b, grpc.UseCompressor("gzip")) // which the proxy has to know
	require.NoError(t, err)
	assert.True(t, bytes.Equal(b, got))
}
