package proxy

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/containerd/errdefs"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

// before makes i the interceptor of CreateContainer.
func before(i Interceptor) map[string]Interceptor { return map[string]Interceptor{create: i} }

func TestInterceptorSeesAndMayReplaceBothMessages(t *testing.T) {
	s := start(t, settings{handler: echo, interceptors: before(
		func(ctx context.Context, request []byte, invoke Invoke) ([]byte, error) {
			response, err := invoke(ctx, append(request, " request"...))
			return append(response, " response"...), err
		})})
	got, err := s.call(within(t), create, []byte("the"))
	require.NoError(t, err)
	assert.Equal(t, "the request response", string(got))

	got, err = s.call(within(t), version, []byte("other methods"))
	require.NoError(t, err)
	assert.Equal(t, "other methods", string(got))
}

func TestInterceptorMayPassOnWhatItGot(t *testing.T) {
	s := start(t, settings{handler: echo, interceptors: before(
		func(ctx context.Context, request []byte, invoke Invoke) ([]byte, error) { return invoke(ctx, request) })})
	for name, b := range frames {
		got, err := s.call(within(t), create, b)
		require.NoError(t, err, name)
		assert.Equal(t, string(b), string(got), name)
	}
}

func TestInterceptorMayAnswerAlone(t *testing.T) {
	s := start(t, settings{handler: echo, interceptors: before(
		func(context.Context, []byte, Invoke) ([]byte, error) { return nil, nil })})
	got, err := s.call(within(t), create, []byte("x"))
	require.NoError(t, err)
	assert.Empty(t, got)
	assert.Empty(t, s.upstream.called())
}

func TestInterceptorErrorsBecomeStatuses(t *testing.T) {
	for _, c := range []struct {
		err  error
		code codes.Code
	}{
		{fmt.Errorf("no ulimits: %w", errdefs.ErrInvalidArgument), codes.InvalidArgument},
		{fmt.Errorf("HostConfig.RestartPolicy: %w", errdefs.ErrNotImplemented), codes.Unimplemented},
		{fmt.Errorf("pod: %w", errdefs.ErrNotFound), codes.NotFound},
		{fmt.Errorf("pod: %w", errdefs.ErrAlreadyExists), codes.AlreadyExists},
		{fmt.Errorf("policy: %w", errdefs.ErrPermissionDenied), codes.PermissionDenied},
		{fmt.Errorf("state: %w", errdefs.ErrFailedPrecondition), codes.FailedPrecondition},
		{fmt.Errorf("containerd: %w", errdefs.ErrUnavailable), codes.Unavailable},
		{fmt.Errorf("plugin: %w", context.DeadlineExceeded), codes.DeadlineExceeded},
		{fmt.Errorf("plugin: %w", context.Canceled), codes.Canceled},
		{errors.New("plugin \"quota\" refuses: 100% full"), codes.Unknown},
		{fmt.Errorf("image: %w", status.Error(codes.DataLoss, "torn")), codes.DataLoss},
	} {
		s := start(t, settings{handler: echo, interceptors: before(
			func(context.Context, []byte, Invoke) ([]byte, error) { return []byte("ignored"), c.err })})
		_, err := s.call(within(t), create, nil)
		assert.Equal(t, c.code, status.Code(err), "%v", c.err)
		assert.Equal(t, c.err.Error(), status.Convert(err).Message())
	}
}

func TestStatusOfAnInterceptorAndOfUpstreamPassesWithDetails(t *testing.T) {
	want := refused(t)
	s := start(t, settings{
		handler: func(any, grpc.ServerStream) error { return want },
		interceptors: map[string]Interceptor{
			create:  func(context.Context, []byte, Invoke) ([]byte, error) { return nil, want },
			version: func(ctx context.Context, b []byte, invoke Invoke) ([]byte, error) { return invoke(ctx, b) },
		},
	})
	for _, method := range []string{create, version} {
		_, err := s.call(within(t), method, nil)
		assertSameStatus(t, want, err)
	}
}

func TestErrorThatAnInterceptorOvercomesLeavesNoTrace(t *testing.T) {
	s := start(t, settings{
		handler: func(any, grpc.ServerStream) error { return refused(t) },
		interceptors: before(func(ctx context.Context, b []byte, invoke Invoke) ([]byte, error) {
			_, err := invoke(ctx, b)
			assertSameStatus(t, refused(t), err)
			return []byte("well"), nil
		})})
	var trailer metadata.MD
	got, err := s.call(within(t), create, nil, grpc.Trailer(&trailer))
	require.NoError(t, err)
	assert.Equal(t, "well", string(got))
	assert.Empty(t, trailer)
}

func TestPanicOfAnInterceptorIsLoggedAndEndsItsCallAlone(t *testing.T) {
	core, logs := observer.New(zap.ErrorLevel)
	s := start(t, settings{handler: echo, log: zap.New(core), interceptors: before(
		func(context.Context, []byte, Invoke) ([]byte, error) { panic("plugin broke") })})
	_, err := s.call(within(t), create, nil)
	assert.Equal(t, codes.Internal, status.Code(err))
	assert.ErrorContains(t, err, "plugin broke")
	require.Len(t, logs.All(), 1)
	fields := logs.All()[0].ContextMap()
	assert.Equal(t, create, fields["method"])
	assert.Equal(t, "plugin broke", fields["panic"])
	assert.Contains(t, fields["stack"], "intercept_test.go")

	_, err = s.call(within(t), version, nil)
	assert.NoError(t, err)
}

func TestInterceptorAndUpstreamHaveTheClientsDeadlineAndCancel(t *testing.T) {
	begun, ended := make(chan time.Time, 1), make(chan error, 1)
	own := make(chan context.Context, 1)
	s := start(t, settings{handler: silent(begun, ended), interceptors: before(
		func(ctx context.Context, b []byte, invoke Invoke) ([]byte, error) {
			own <- ctx
			return invoke(ctx, b)
		})})
	ctx, cancel := context.WithCancel(within(t))
	want, _ := ctx.Deadline()
	failed := make(chan error, 1)
	go func() {
		_, err := s.call(ctx, create, nil)
		failed <- err
	}()
	inner := <-own
	got, _ := inner.Deadline()
	assert.WithinDuration(t, want, got, time.Second)
	assert.WithinDuration(t, want, <-begun, time.Second)
	cancel()
	assert.Equal(t, codes.Canceled, status.Code(<-failed))
	assert.ErrorIs(t, <-ended, context.Canceled)
	<-inner.Done()
}

func TestInvokeMayHaveAShorterDeadlineAndStillTheMetadata(t *testing.T) {
	came := make(chan metadata.MD, 1)
	s := start(t, settings{
		handler: func(_ any, s grpc.ServerStream) error {
			came <- metadataOf(s)
			<-s.Context().Done()
			return status.FromContextError(s.Context().Err()).Err() // upstream may notice first
		},
		interceptors: before(func(ctx context.Context, b []byte, invoke Invoke) ([]byte, error) {
			ctx, cancel := context.WithTimeout(metadata.AppendToOutgoingContext(ctx, "containerd-namespace", "moby"), 50*time.Millisecond)
			defer cancel()
			return invoke(ctx, b)
		})})
	ctx := within(t)
	_, err := s.call(metadata.AppendToOutgoingContext(ctx, "traceparent", "1"), create, nil)
	assert.Equal(t, codes.DeadlineExceeded, status.Code(err))
	assert.NoError(t, ctx.Err(), "it was the client's deadline")
	md := <-came
	assert.Equal(t, []string{"1"}, md["traceparent"])
	assert.Empty(t, md["containerd-namespace"], "what is not the client's goes nowhere")
}

func TestInterceptedCallsDoNotWaitForEachOther(t *testing.T) {
	const n = 8
	all := make(chan struct{}, n)
	open := make(chan struct{})
	s := start(t, settings{handler: func(_ any, s grpc.ServerStream) error {
		all <- struct{}{}
		<-open
		return sendBytes(s, nil)
	}, interceptors: before(
		func(ctx context.Context, b []byte, invoke Invoke) ([]byte, error) { return invoke(ctx, b) })})
	ctx, failed := within(t), make(chan error, n)
	for range n {
		go func() {
			_, err := s.call(ctx, create, nil)
			failed <- err
		}()
	}
	for range n {
		<-all // all are upstream, none is answered
	}
	close(open)
	for range n {
		assert.NoError(t, <-failed)
	}
}

func TestInterceptedCallHasOneRequest(t *testing.T) {
	s := start(t, settings{handler: echo, interceptors: before(
		func(context.Context, []byte, Invoke) ([]byte, error) { panic("not called") })})
	for _, n := range []int{0, 2} {
		stream := s.open(t, within(t), create)
		for range n {
			require.NoError(t, sendBytes(stream, nil))
		}
		require.NoError(t, stream.CloseSend())
		_, err := recvBytes(stream)
		assert.Equal(t, codes.Internal, status.Code(err))
		assert.ErrorContains(t, err, "request")
	}
}
