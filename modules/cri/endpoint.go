package cri

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"time"

	"github.com/containerd/containerd/v2/client"
	"go.uber.org/zap"
	"google.golang.org/grpc"
	runtime "k8s.io/cri-api/pkg/apis/runtime/v1"

	"github.com/pouchfx/pouchfx/modules/cri/proxy"
	"github.com/pouchfx/pouchfx/modules/lifecycle"
	"github.com/pouchfx/pouchfx/modules/telemetry"
	"github.com/pouchfx/pouchfx/modules/unixsocket"
	"github.com/pouchfx/pouchfx/plugins"
)

// Engine is what the endpoint asks of containerd.
type Engine interface {
	// CRI is the connection to containerd's own CRI.
	CRI() *grpc.ClientConn
	// PodClient is a client of the namespace in which CRI keeps its objects.
	PodClient() *client.Client
	// PodRootFS is where the root filesystem of a running container is.
	PodRootFS(id string) string
	// Snapshotter is the one into which CRI unpacks images.
	Snapshotter() string
}

// Params are what the endpoint needs.
type Params struct {
	// Host is where to listen, unix:///path; empty for nowhere.
	Host string
	// Group owns the socket: a name, a number, or empty for the daemon's own.
	Group string
	// ShutdownTimeout bounds how long requests in progress may delay the stop.
	ShutdownTimeout time.Duration

	Engine     Engine
	Cri        plugins.CriPlugin
	Containers plugins.ContainerPlugin
	Images     plugins.ImagePlugin
	// Recorder is told of all calls; nil for nobody.
	Recorder *telemetry.Recorder
	// Fatal ends the daemon when the socket fails.
	Fatal lifecycle.Fatal
	Log   *zap.Logger
}

// Endpoint is the CRI endpoint. It serves from Start to Stop.
type Endpoint struct {
	params Params
	turns  turns

	server   *proxy.Server
	listener net.Listener
	serving  sync.WaitGroup
}

// New makes an endpoint that does not listen yet.
func New(p Params) *Endpoint { return &Endpoint{params: p} }

// Start listens, where a host is given. Upstream need not be there: until it
// is, every call fails with Unavailable.
func (e *Endpoint) Start(context.Context) error {
	if e.params.Host == "" {
		return nil
	}
	path, ok := strings.CutPrefix(e.params.Host, "unix://")
	if !ok || path == "" {
		return fmt.Errorf("cri-host %q: use unix:///path", e.params.Host)
	}
	l, err := unixsocket.Listen(path, e.params.Group)
	if err != nil {
		return fmt.Errorf("CRI: %w", err)
	}
	e.listener = l
	e.server = proxy.New(e.params.Engine.CRI(), map[string]proxy.Interceptor{
		"/runtime.v1.RuntimeService/CreateContainer":          e.createContainer,
		"/runtime.v1.RuntimeService/StartContainer":           e.startContainer,
		"/runtime.v1.RuntimeService/UpdateContainerResources": e.updateContainer,
		"/runtime.v1.ImageService/PullImage":                  e.pullImage,
	}, e.params.Log, grpc.Creds(peerCredentials{}),
		grpc.StreamInterceptor(e.params.Recorder.Calls(&runtime.RuntimeService_ServiceDesc, &runtime.ImageService_ServiceDesc)))
	e.serving.Go(e.serve)
	return nil
}

func (e *Endpoint) serve() {
	e.params.Log.Info("CRI listens", zap.String("address", e.params.Host))
	err := e.server.Serve(e.listener)
	if err != nil && !errors.Is(err, grpc.ErrServerStopped) && e.params.Fatal != nil {
		e.params.Fatal(fmt.Errorf("the CRI endpoint cannot serve %s any longer: %w", e.params.Host, err))
	}
}

// Stop refuses new calls, ends the streams of events, and waits for the other
// calls in progress, at most ShutdownTimeout. What is left is broken off. It is
// safe without Start, and twice.
func (e *Endpoint) Stop(ctx context.Context) error {
	if e.server == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, e.params.ShutdownTimeout)
	defer cancel()
	err := e.server.Shutdown(ctx)
	e.serving.Wait()
	return err
}
