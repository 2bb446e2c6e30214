package proxy

import (
	"context"
	"io"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

// silent takes a request and then does nothing until the call ends, which it
// tells on ended.
func silent(begun chan<- time.Time, ended chan<- error) grpc.StreamHandler {
	return func(_ any, s grpc.ServerStream) error {
		deadline, _ := s.Context().Deadline()
		begun <- deadline
		<-s.Context().Done()
		ended <- s.Context().Err()
		return status.FromContextError(s.Context().Err()).Err()
	}
}

func TestHeadersComeBeforeTheFirstMessage(t *testing.T) {
	next := make(chan struct{})
	s := start(t, settings{handler: func(_ any, s grpc.ServerStream) error {
		if err := s.SendHeader(metadata.Pairs("early", "yes")); err != nil {
			return err
		}
		<-next
		return sendBytes(s, []byte("event"))
	}})
	stream := s.open(t, within(t), events)
	header, err := stream.Header() // while neither side has sent a message
	require.NoError(t, err)
	assert.Equal(t, []string{"yes"}, header["early"])
	close(next)
	got, err := recvBytes(stream)
	require.NoError(t, err)
	assert.Equal(t, "event", string(got))
}

func TestMessagesOfAStreamComeOneByOne(t *testing.T) {
	next := make(chan []byte)
	s := start(t, settings{handler: func(_ any, s grpc.ServerStream) error {
		for b := range next {
			if err := sendBytes(s, b); err != nil {
				return err
			}
		}
		return nil
	}})
	stream := s.open(t, within(t), events)
	for _, b := range [][]byte{[]byte("created"), {}, []byte("started")} {
		next <- b
		got, err := recvBytes(stream)
		require.NoError(t, err)
		assert.Equal(t, string(b), string(got))
	}
	close(next)
	_, err := recvBytes(stream)
	assert.ErrorIs(t, err, io.EOF)
}

func TestUpstreamHasTheDeadlineOfTheClient(t *testing.T) {
	begun, ended := make(chan time.Time, 1), make(chan error, 1)
	s := start(t, settings{handler: silent(begun, ended)})
	ctx, cancel := context.WithTimeout(context.Background(), 300*time.Millisecond)
	defer cancel()
	want, _ := ctx.Deadline()
	_, err := s.call(ctx, version, nil)
	assert.Equal(t, codes.DeadlineExceeded, status.Code(err))
	assert.WithinDuration(t, want, <-begun, 100*time.Millisecond)
	assert.Error(t, <-ended) // Canceled, when the client's end of the call was faster than upstream's clock
}

func TestNoDeadlineStaysNone(t *testing.T) {
	begun, ended := make(chan time.Time, 1), make(chan error, 1)
	s := start(t, settings{handler: silent(begun, ended)})
	ctx, cancel := context.WithCancel(context.Background())
	s.open(t, ctx, events)
	assert.Zero(t, <-begun)
	cancel()
	<-ended
}

func TestCancelReachesUpstream(t *testing.T) {
	begun, ended := make(chan time.Time, 1), make(chan error, 1)
	s := start(t, settings{handler: silent(begun, ended)})
	ctx, cancel := context.WithCancel(within(t))
	stream := s.open(t, ctx, events)
	<-begun
	cancel()
	assert.ErrorIs(t, <-ended, context.Canceled)
	_, err := recvBytes(stream)
	assert.Equal(t, codes.Canceled, status.Code(err))
}

func TestClientThatGoesAwayEndsItsCalls(t *testing.T) {
	begun, ended := make(chan time.Time, 1), make(chan error, 1)
	s := start(t, settings{handler: silent(begun, ended)})
	gone, err := grpc.NewClient("unix://"+s.socket, grpc.WithTransportCredentials(noCredentials))
	require.NoError(t, err)
	_, err = gone.NewStream(within(t), both, events, clientOptions...)
	require.NoError(t, err)
	<-begun
	require.NoError(t, gone.Close())
	assert.ErrorIs(t, <-ended, context.Canceled)
}

// A client that does not read must stop upstream, not fill our memory, and
// must not stop other clients, with which it shares the connection upstream.
func TestClientThatDoesNotReadHoldsUpOnlyItself(t *testing.T) {
	const size, atMost = 100_000, 100
	var sent atomic.Int64
	s := start(t, settings{handler: func(srv any, s grpc.ServerStream) error {
		if method, _ := grpc.MethodFromServerStream(s); method != events {
			return echo(srv, s)
		}
		for {
			if err := sendBytes(s, make([]byte, size)); err != nil {
				return err
			}
			sent.Add(1)
		}
	}})
	ctx, cancel := context.WithCancel(within(t))
	defer cancel()
	s.open(t, ctx, events)
	var before int64
	require.Eventually(t, func() bool {
		now := sent.Load()
		stands := now > 0 && now == before
		before = now
		return stands
	}, 10*time.Second, 200*time.Millisecond, "upstream goes on sending")
	assert.Less(t, before, int64(atMost))

	b := randomBytes(10 << 20)
	got, err := s.call(within(t), version, b)
	require.NoError(t, err)
	assert.Equal(t, b, got)
}

func TestUpstreamThatEndsFirstEndsTheCall(t *testing.T) {
	s := start(t, settings{handler: func(_ any, s grpc.ServerStream) error {
		if _, err := recvBytes(s); err != nil {
			return err
		}
		return status.Error(codes.ResourceExhausted, "enough")
	}})
	stream := s.open(t, within(t), future)
	for sendBytes(stream, make([]byte, 1000)) == nil { // until it is told to stop
	}
	_, err := recvBytes(stream)
	assert.Equal(t, codes.ResourceExhausted, status.Code(err))
	assert.ErrorContains(t, err, "enough")
}
