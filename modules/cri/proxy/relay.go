package proxy

import (
	"context"
	"io"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
)

// both is how every method is called: a unary one is a stream of one message
// each way.
var both = &grpc.StreamDesc{ServerStreams: true, ClientStreams: true}

var callOptions = []grpc.CallOption{
	grpc.ForceCodecV2(codec{}),
	grpc.MaxCallRecvMsgSize(MaxMessage),
	grpc.MaxCallSendMsgSize(MaxMessage),
}

// relay copies both ways until upstream has ended the call. One message is
// under way each way, so that a peer that does not read stops the other.
func (s *Server) relay(client grpc.ServerStream, method string, endless bool) error {
	ctx, cancel := context.WithCancelCause(client.Context())
	defer cancel(nil)
	if endless {
		defer context.AfterFunc(s.stopping, func() { cancel(errStopping) })()
	}
	upstream, err := s.upstream.NewStream(outgoing(ctx, client), both, method, callOptions...)
	if err != nil {
		return because(ctx, err)
	}
	go func() { // ends with client's context at the latest, which is soon after relay
		if err := send(upstream, client); err != nil {
			cancel(err)
		}
	}()
	return because(ctx, receive(client, upstream))
}

// because returns err, or the reason that this side had to end a call, which
// upstream can only call a cancellation.
func because(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); err != nil && cause != ctx.Err() {
		return cause
	}
	return err
}

// send copies the client's messages and then its half-close.
func send(upstream grpc.ClientStream, client grpc.ServerStream) error {
	for {
		var f frame
		if err := client.RecvMsg(&f); err == io.EOF {
			return upstream.CloseSend()
		} else if err != nil {
			return err
		}
		err := upstream.SendMsg(&f)
		f.free()
		if err == io.EOF {
			return nil // it has ended; receive gets to know why
		}
		if err != nil {
			return err
		}
	}
}

// receive copies upstream's headers as soon as they are there, its messages,
// and its trailers. It returns upstream's error as it is.
func receive(client grpc.ServerStream, upstream grpc.ClientStream) error {
	header, err := upstream.Header()
	if err != nil {
		return err
	}
	if header != nil { // nil when the call ended without
		if err := client.SendHeader(endToEnd(header)); err != nil {
			return err
		}
	}
	for {
		var f frame
		if err := upstream.RecvMsg(&f); err != nil {
			client.SetTrailer(upstream.Trailer())
			if err == io.EOF {
				return nil
			}
			return err
		}
		err := client.SendMsg(&f)
		f.free()
		if err != nil {
			return err
		}
	}
}

// outgoing returns ctx with the client's metadata, and no other, to go on.
func outgoing(ctx context.Context, client grpc.ServerStream) context.Context {
	came, _ := metadata.FromIncomingContext(client.Context()) // a copy
	return metadata.NewOutgoingContext(ctx, endToEnd(came))
}

// endToEnd takes out of md, and returns, what concerns one connection alone.
// gRPC does not send those either, except what it can decompress, which would
// promise upstream what is not ours to promise.
func endToEnd(md metadata.MD) metadata.MD {
	for _, key := range []string{":authority", "content-type", "user-agent", "grpc-accept-encoding"} {
		delete(md, key)
	}
	return md
}
