// Package proxy stands between a CRI client, such as kubelet, and the CRI of
// containerd, and is not to be noticed. It moves messages as bytes, because
// whoever decodes all of them loses the fields that are newer than himself and
// lacks the methods that are newer. Only the unary methods that have an
// Interceptor are looked into, and that by the interceptor.
//
// What a client sends and sees is what it would without us: messages,
// metadata, headers (as they come), trailers, codes, texts and details of
// errors, deadlines, cancellation, half-closed streams, flow control. The
// exceptions are what HTTP/2 has for each hop: upstream sees the authority and
// the user agent of our connection, and compression ends here: what a client
// compresses goes on plain, and the answer comes back to it compressed.
//
// Nothing times out here and no keepalive is sent, as between kubelet and
// containerd: a stream of events may be silent for days, and on a unix socket
// the end of a peer shows at once.
package proxy

import (
	"context"
	"fmt"
	"maps"
	"strings"
	"time"

	"go.uber.org/zap"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	_ "google.golang.org/grpc/encoding/gzip" // containerd's server knows gzip, so we have to
	"google.golang.org/grpc/status"
	runtime "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// MaxMessage is how many bytes a message may have, each way. It is more than
// the 16 MiB of kubelet and containerd, so that the error about a larger one
// is theirs.
const MaxMessage = 64 << 20

// services are all that can be reached. containerd's others, on the same
// connection perhaps, would be a way around every hook.
var services = []*grpc.ServiceDesc{&runtime.RuntimeService_ServiceDesc, &runtime.ImageService_ServiceDesc}

// writeBuffer is how many bytes go to a client in one system call: four times
// the default, so that large responses take some percent less. A connection
// holds one only while it writes.
const writeBuffer = 128 << 10

// stopWait is how long calls that were broken off may take to notice.
const stopWait = time.Second

var errStopping = status.Error(codes.Unavailable, "the CRI endpoint is stopping")

// Server is the proxy. Serve and Stop are those of grpc.Server.
type Server struct {
	*grpc.Server
	upstream     grpc.ClientConnInterface
	interceptors map[string]Interceptor
	log          *zap.Logger

	stopping context.Context // ends when Shutdown begins
	stop     context.CancelFunc
}

// New makes a proxy before upstream, with interceptors by full method, such as
// "/runtime.v1.RuntimeService/CreateContainer". The log gets the panics of
// interceptors. Upstream need not be up: its connection says what then happens
// to a call, and should let it fail at once.
func New(upstream grpc.ClientConnInterface, interceptors map[string]Interceptor, log *zap.Logger, o ...grpc.ServerOption) *Server {
	s := &Server{upstream: upstream, interceptors: maps.Clone(interceptors), log: log}
	s.stopping, s.stop = context.WithCancel(context.Background())
	s.Server = grpc.NewServer(append([]grpc.ServerOption{
		grpc.ForceServerCodecV2(codec{}),
		grpc.MaxRecvMsgSize(MaxMessage),
		grpc.MaxSendMsgSize(MaxMessage),
		grpc.WriteBufferSize(writeBuffer),
		grpc.UnknownServiceHandler(s.handle), // and no other: every method is unknown
	}, o...)...)
	return s
}

// Shutdown refuses new calls, ends streams of responses, which may have no
// end of their own (GetContainerEvents), with Unavailable, and waits for the
// other calls in progress. What is left when ctx ends is broken off, which is
// an error. Shutdown is safe without Serve, and twice.
func (s *Server) Shutdown(ctx context.Context) error {
	s.stop()
	stopped := make(chan struct{})
	go func() {
		s.GracefulStop()
		close(stopped)
	}()
	select {
	case <-stopped:
		return nil
	case <-ctx.Done():
	}
	s.Stop()
	select {
	case <-stopped:
	case <-time.After(stopWait):
	}
	return fmt.Errorf("CRI calls in progress were broken off: %w", ctx.Err())
}

func (s *Server) handle(_ any, client grpc.ServerStream) (err error) {
	method, _ := grpc.MethodFromServerStream(client)
	defer s.recover(method, &err)
	service := serviceOf(method)
	if service == nil {
		return status.Errorf(codes.Unimplemented, "unknown method %s: only CRI is served here", method)
	}
	if i := s.interceptors[method]; i != nil {
		return s.intercept(client, method, i)
	}
	return s.relay(client, method, endless(service, method))
}

// serviceOf returns the service of a method that may be called, or nil.
func serviceOf(method string) *grpc.ServiceDesc {
	name, ok := strings.CutPrefix(method[:strings.LastIndexByte(method, '/')+1], "/")
	if !ok {
		return nil
	}
	for _, s := range services {
		if name == s.ServiceName+"/" {
			return s
		}
	}
	return nil
}

// endless says whether a method is known to answer with a stream, which may
// have no end of its own.
func endless(service *grpc.ServiceDesc, method string) bool {
	for _, m := range service.Streams {
		if method == "/"+service.ServiceName+"/"+m.StreamName {
			return true
		}
	}
	return false
}

// recover makes an error of a panic: grpc-go would let it end the daemon.
func (s *Server) recover(method string, err *error) {
	if v := recover(); v != nil {
		s.log.Error("a CRI call panicked", zap.String("method", method), zap.Any("panic", v), zap.Stack("stack"))
		*err = status.Errorf(codes.Internal, "%s: panic: %v", method, v)
	}
}
