package proxy

import (
	"context"
	"errors"
	"io"
	"sync"

	"github.com/containerd/errdefs/pkg/errgrpc"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

// Invoke sends a request upstream and returns the response. The client's
// metadata goes with it; ctx, which should come from the interceptor's, gives
// the deadline and the cancellation. An error is upstream's gRPC status. The bytes of the
// request may not be changed afterwards; those of the response are the
// caller's. Headers and trailers of the last call go to the client by
// themselves, when the interceptor has returned.
type Invoke func(ctx context.Context, request []byte) (response []byte, err error)

// Interceptor answers the calls of one unary method, with invoke's help if it
// likes. ctx ends when the client cancels, goes away, or at its deadline.
// Calls come at the same time.
//
// An error that is, or wraps, a gRPC status goes on with its code and details;
// one of the classes of containerd's errdefs becomes the code of that class,
// and the errors of context become Canceled and DeadlineExceeded; the rest is
// Unknown. The text is kept. A panic is logged and becomes Internal.
type Interceptor func(ctx context.Context, request []byte, invoke Invoke) (response []byte, err error)

func (s *Server) intercept(client grpc.ServerStream, method string, i Interceptor) error {
	request, err := only(client)
	if err != nil {
		return err
	}
	c := call{client: client, upstream: s.upstream, method: method}
	response, err := i(client.Context(), request, c.invoke)
	if err := c.finish(); err != nil {
		return err
	}
	if err != nil {
		return errgrpc.ToGRPC(err)
	}
	return client.SendMsg(newFrame(response))
}

// only returns the message of a call that has one.
func only(client grpc.ServerStream) ([]byte, error) {
	var first, second frame
	if err := client.RecvMsg(&first); errors.Is(err, io.EOF) {
		return nil, status.Error(codes.Internal, "a unary call came without a request")
	} else if err != nil {
		return nil, err
	}
	defer first.free()
	if err := client.RecvMsg(&second); err == nil {
		second.free()
		return nil, status.Error(codes.Internal, "a unary call came with several requests")
	} else if !errors.Is(err, io.EOF) {
		return nil, err
	}
	return first.data.Materialize(), nil
}

// call is one intercepted call.
type call struct {
	client   grpc.ServerStream
	upstream grpc.ClientConnInterface
	method   string

	mu              sync.Mutex // for interceptors that invoke in goroutines
	header, trailer metadata.MD
}

func (c *call) invoke(ctx context.Context, request []byte) ([]byte, error) {
	var header, trailer metadata.MD
	var response frame
	err := c.upstream.Invoke(outgoing(ctx, c.client), c.method, newFrame(request), &response,
		append(callOptions[:len(callOptions):len(callOptions)], grpc.Header(&header), grpc.Trailer(&trailer))...)
	c.mu.Lock()
	c.header, c.trailer = header, trailer
	c.mu.Unlock()
	if err != nil {
		return nil, err
	}
	defer response.free()
	return response.data.Materialize(), nil
}

// finish passes on what came beside the response.
func (c *call) finish() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.trailer, "grpc-status-details-bin") // the error's, which has its own, if it is still the error
	c.client.SetTrailer(c.trailer)
	return c.client.SetHeader(endToEnd(c.header))
}
