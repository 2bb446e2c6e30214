package containerd

import (
	"context"
	"fmt"
	"math"
	"net"
	"time"

	"github.com/containerd/containerd/v2/client"
	"github.com/containerd/containerd/v2/plugins"
	"github.com/containerd/plugin"
	"github.com/containerd/plugin/registry"
	"golang.org/x/sync/semaphore"
	"google.golang.org/grpc"
	"google.golang.org/grpc/test/bufconn"
)

const (
	// criStopTimeout is how long the stop waits for calls of CRI that it has
	// cancelled.
	criStopTimeout = 5 * time.Second
	// criBuffer holds what is on its way, in each direction, in bytes. With it
	// long output passes faster than through a socket.
	criBuffer = 256 << 10
)

// isCRI tells the plugins that make up containerd's CRI. They are in this
// binary only when somebody imports package criplugins.
func isCRI(r *plugin.Registration) bool {
	return r.Type == plugins.CRIServicePlugin || r.Type == plugins.PodSandboxPlugin || r.URI() == criServer
}

// linkedCRI tells whether they are in this binary.
func linkedCRI() bool { return len(registry.Graph(isNotCRI)) > 0 }

func isNotCRI(r *plugin.Registration) bool { return !isCRI(r) }

// startCRI starts containerd's CRI above the plugins that l has started, and
// serves it to this process alone.
func (e *Engine) startCRI(ctx context.Context, l *loader, direct *client.Client, snapshotters map[string]any) (err error) {
	if e.podClient, err = namespace(PodNamespace).clientOf(direct, snapshotters); err != nil {
		return err
	}
	switch name, program := e.sandboxImage(); {
	case name == "":
		e.log.Warn("this binary carries no program for pods' first process: the first pod pulls containerd's image; build with `make build`, or configure a sandbox image")
	case program != "":
		if err := e.writeSandboxImage(ctx, name, program); err != nil {
			return fmt.Errorf("image of pods' first process: %w", err)
		}
		e.keepSandboxImage(ctx, name, program)
	}
	if err := l.load(isCRI); err != nil {
		return fmt.Errorf("start containerd's CRI: %w", err)
	}
	instance, err := l.set.Get(plugins.GRPCPlugin, "cri").Instance()
	if err != nil {
		return fmt.Errorf("start containerd's CRI: %w", err)
	}
	if err := e.serveCRI(instance.(interface{ Register(*grpc.Server) error })); err != nil {
		return err
	}
	for _, ready := range l.ready {
		select {
		case <-ready:
		case err := <-e.failed:
			return fmt.Errorf("start containerd's CRI: %w", err)
		case <-ctx.Done():
			return fmt.Errorf("containerd's CRI does not get ready: %w", ctx.Err())
		}
	}
	return nil
}

// serveCRI has a server of its own for CRI, so that nothing else of containerd
// can be reached through it.
func (e *Engine) serveCRI(cri interface{ Register(*grpc.Server) error }) error {
	calls := semaphore.NewWeighted(math.MaxInt64)
	server := grpc.NewServer(grpc.MaxRecvMsgSize(MaxCRIMessage), grpc.MaxSendMsgSize(MaxCRIMessage),
		grpc.UnaryInterceptor(func(ctx context.Context, request any, _ *grpc.UnaryServerInfo, call grpc.UnaryHandler) (any, error) {
			if err := calls.Acquire(ctx, 1); err != nil {
				return nil, err
			}
			defer calls.Release(1)
			return call(ctx, request)
		}))
	if err := cri.Register(server); err != nil {
		return err
	}
	listener := bufconn.Listen(criBuffer)
	served := make(chan struct{})
	go func() {
		defer close(served)
		_ = server.Serve(listener) // ends with the stop alone
	}()
	e.onStop(func() error {
		server.Stop()
		<-served
		// Those in progress are cancelled and clean up before containerd ends.
		// There is no waiting for streams: that of events does not end before
		// the next event.
		ctx, cancel := context.WithTimeout(context.Background(), criStopTimeout)
		defer cancel()
		if calls.Acquire(ctx, math.MaxInt64) != nil {
			e.log.Warn("calls of CRI go on although they were cancelled")
		}
		return nil
	})
	return e.dialCRI("passthrough:///cri", grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) {
		return listener.DialContext(ctx)
	}))
}
