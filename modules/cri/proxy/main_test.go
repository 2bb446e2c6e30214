package proxy

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest"
	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/mem"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	version = "/runtime.v1.RuntimeService/Version"
	future  = "/runtime.v1.RuntimeService/MethodOfANewerCRI"
	events  = "/runtime.v1.RuntimeService/GetContainerEvents"
	create  = "/runtime.v1.RuntimeService/CreateContainer"
)

// plain is a codec of bytes that has nothing in common with the proxy's.
type plain struct{}

func (plain) Name() string { return "proto" }

func (plain) Marshal(v any) (mem.BufferSlice, error) {
	return mem.BufferSlice{mem.SliceBuffer(*v.(*[]byte))}, nil
}

func (plain) Unmarshal(data mem.BufferSlice, v any) error {
	*v.(*[]byte) = data.Materialize()
	return nil
}

// streamer is what both ends of a stream have.
type streamer interface {
	SendMsg(any) error
	RecvMsg(any) error
}

func sendBytes(s streamer, b []byte) error { return s.SendMsg(&b) }

func recvBytes(s streamer) (b []byte, err error) {
	err = s.RecvMsg(&b)
	return b, err
}

// upstream is a server of any method that answers with its handler, and counts
// the calls that reach it.
type upstream struct {
	socket  string
	handler grpc.StreamHandler
	options []grpc.ServerOption

	mu     sync.Mutex
	calls  []string
	server *grpc.Server
	served chan error
}

func (u *upstream) start(tb testing.TB) {
	tb.Helper()
	l, err := net.Listen("unix", u.socket)
	require.NoError(tb, err)
	u.server = grpc.NewServer(append([]grpc.ServerOption{
		grpc.ForceServerCodecV2(plain{}), grpc.MaxRecvMsgSize(1 << 30), grpc.WaitForHandlers(true),
		grpc.UnknownServiceHandler(func(srv any, s grpc.ServerStream) error {
			method, _ := grpc.MethodFromServerStream(s)
			u.mu.Lock()
			u.calls = append(u.calls, method)
			u.mu.Unlock()
			return u.handler(srv, s)
		}),
	}, u.options...)...)
	u.served = make(chan error, 1)
	go func(s *grpc.Server) { u.served <- s.Serve(l) }(u.server)
}

func (u *upstream) stop(tb testing.TB) {
	u.server.Stop()
	if err := <-u.served; !errors.Is(err, grpc.ErrServerStopped) {
		require.NoError(tb, err)
	}
}

// called returns the methods of the calls so far.
func (u *upstream) called() []string {
	u.mu.Lock()
	defer u.mu.Unlock()
	return append([]string(nil), u.calls...)
}

// setup is a client, a proxy and its upstream, each behind a unix socket.
type setup struct {
	upstream upstream
	proxy    *Server
	direct   *grpc.ClientConn // to upstream
	client   *grpc.ClientConn // to the proxy
	socket   string           // the proxy's
}

type settings struct {
	handler      grpc.StreamHandler
	interceptors map[string]Interceptor
	log          *zap.Logger
	upstream     []grpc.ServerOption
	dial         []grpc.DialOption
}

func start(tb testing.TB, with settings) *setup {
	tb.Helper()
	s := prepare(tb, with)
	s.upstream.start(tb)
	tb.Cleanup(func() { s.upstream.stop(tb) })
	return s
}

// prepare is start without the start of upstream.
func prepare(tb testing.TB, with settings) *setup {
	tb.Helper()
	if with.log == nil {
		with.log = zaptest.NewLogger(tb)
	}
	dir, err := os.MkdirTemp("", "cri") // short, and without what a target URI takes for its own
	require.NoError(tb, err)
	tb.Cleanup(func() { _ = os.RemoveAll(dir) })
	s := &setup{socket: filepath.Join(dir, "cri.sock")}
	s.upstream = upstream{socket: filepath.Join(dir, "up.sock"), handler: with.handler, options: with.upstream}
	s.direct = dial(tb, s.upstream.socket, with.dial...)
	s.proxy = New(dial(tb, s.upstream.socket), with.interceptors, with.log)
	l, err := net.Listen("unix", s.socket)
	require.NoError(tb, err)
	served := make(chan error, 1)
	go func() { served <- s.proxy.Serve(l) }()
	s.client = dial(tb, s.socket, with.dial...)
	tb.Cleanup(func() {
		s.proxy.Stop()
		<-served
	})
	return s
}

// dial connects as the daemon's engine does to its containerd.
func dial(tb testing.TB, socket string, o ...grpc.DialOption) *grpc.ClientConn {
	tb.Helper()
	conn, err := grpc.NewClient("unix://"+socket, append([]grpc.DialOption{
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithNoProxy(),
		grpc.WithIdleTimeout(0),
		grpc.WithConnectParams(grpc.ConnectParams{
			Backoff:           backoff.Config{BaseDelay: 100 * time.Millisecond, Multiplier: 1.6, Jitter: 0.2, MaxDelay: 2 * time.Second},
			MinConnectTimeout: 5 * time.Second,
		}),
	}, o...)...)
	require.NoError(tb, err)
	tb.Cleanup(func() { require.NoError(tb, conn.Close()) })
	return conn
}

var clientOptions = []grpc.CallOption{grpc.ForceCodecV2(plain{}), grpc.MaxCallRecvMsgSize(1 << 30), grpc.MaxCallSendMsgSize(1 << 30)}

// call makes a unary call.
func (s *setup) call(ctx context.Context, method string, request []byte, o ...grpc.CallOption) ([]byte, error) {
	var response []byte
	err := s.client.Invoke(ctx, method, &request, &response, append(o, clientOptions...)...)
	return response, err
}

// open opens a stream of both ways.
func (s *setup) open(tb testing.TB, ctx context.Context, method string) grpc.ClientStream {
	tb.Helper()
	stream, err := s.client.NewStream(ctx, &grpc.StreamDesc{ServerStreams: true, ClientStreams: true}, method, clientOptions...)
	require.NoError(tb, err)
	return stream
}

// within is a context for what should take no time at all.
func within(tb testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	tb.Cleanup(cancel)
	return ctx
}

// echo answers each message with itself.
func echo(_ any, s grpc.ServerStream) error {
	for {
		b, err := recvBytes(s)
		if err != nil {
			return endOf(err)
		}
		if err := sendBytes(s, b); err != nil {
			return err
		}
	}
}

// endOf makes the clean end of a stream no error.
func endOf(err error) error {
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}
