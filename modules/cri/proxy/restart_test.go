package proxy

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
)

var noCredentials = insecure.NewCredentials()

// resumesWithin is the promise to kubelet.
const resumesWithin = 3 * time.Second

func (s *setup) unavailableAtOnce(t *testing.T) {
	t.Helper()
	begin := time.Now()
	_, err := s.call(within(t), version, nil)
	assert.Equal(t, codes.Unavailable, status.Code(err), "%v", err)
	assert.Less(t, time.Since(begin), time.Second)
}

func (s *setup) resumes(t *testing.T) {
	t.Helper()
	begin := time.Now()
	for {
		_, err := s.call(within(t), version, []byte("x"))
		if err == nil {
			return
		}
		require.Equal(t, codes.Unavailable, status.Code(err))
		require.Less(t, time.Since(begin), resumesWithin)
		time.Sleep(10 * time.Millisecond) // the client's pause between its attempts
	}
}

func TestUpstreamMayComeLater(t *testing.T) {
	s := prepare(t, settings{handler: echo})
	s.unavailableAtOnce(t)
	s.upstream.start(t)
	defer s.upstream.stop(t)
	s.resumes(t)
}

func TestServiceResumesAfterARestartOfUpstream(t *testing.T) {
	t.Parallel() // it takes seconds
	s := prepare(t, settings{handler: echo})
	s.upstream.start(t)
	s.resumes(t)
	s.upstream.stop(t)
	for begin := time.Now(); time.Since(begin) < 4*time.Second; { // so long that the backoff has grown
		s.unavailableAtOnce(t)
		time.Sleep(50 * time.Millisecond) // the client's pause
	}
	s.upstream.start(t)
	defer s.upstream.stop(t)
	s.resumes(t)
}

func TestStreamsOfALostUpstreamEndUnavailable(t *testing.T) {
	begun, ended := make(chan time.Time, 1), make(chan error, 1)
	s := prepare(t, settings{handler: silent(begun, ended)})
	s.upstream.start(t)
	stream := s.open(t, within(t), events)
	<-begun
	s.upstream.stop(t)
	_, err := recvBytes(stream)
	assert.Equal(t, codes.Unavailable, status.Code(err), "%v", err)
	<-ended
}

func TestShutdownEndsStreamsAndWaitsForTheRest(t *testing.T) {
	begun, release := make(chan string, 2), make(chan struct{})
	s := start(t, settings{handler: func(_ any, s grpc.ServerStream) error {
		method, _ := grpc.MethodFromServerStream(s)
		begun <- method
		if method == events {
			<-s.Context().Done()
			return nil
		}
		<-release
		return sendBytes(s, []byte("created"))
	}})
	stream := s.open(t, within(t), events)
	<-begun
	created := make(chan string, 1)
	go func() {
		b, err := s.call(within(t), create, nil)
		created <- string(b) + status.Code(err).String()
	}()
	<-begun

	stopped := make(chan error, 1)
	go func() { stopped <- s.proxy.Shutdown(within(t)) }()
	_, err := recvBytes(stream)
	assert.Equal(t, errStopping.Error(), err.Error())
	assert.Empty(t, stopped)
	close(release)
	assert.Equal(t, "createdOK", <-created)
	assert.NoError(t, <-stopped)
	assert.NoError(t, s.proxy.Shutdown(within(t)), "twice")
}

func TestShutdownBreaksOffWhatTakesTooLong(t *testing.T) {
	begun, ended := make(chan time.Time, 1), make(chan error, 1)
	s := start(t, settings{handler: silent(begun, ended)})
	failed := make(chan error, 1)
	go func() {
		_, err := s.call(within(t), create, nil)
		failed <- err
	}()
	<-begun
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	assert.ErrorIs(t, s.proxy.Shutdown(ctx), context.DeadlineExceeded)
	assert.Equal(t, codes.Unavailable, status.Code(<-failed))
	assert.ErrorIs(t, <-ended, context.Canceled)
}

func TestShutdownWithoutServe(t *testing.T) {
	var none *grpc.ClientConn
	assert.NoError(t, New(none, nil, nil).Shutdown(within(t)))
}
