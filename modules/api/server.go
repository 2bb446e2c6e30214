package api

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/pouchfx/pouchfx/modules/build"
	"github.com/pouchfx/pouchfx/modules/config"
	"github.com/pouchfx/pouchfx/modules/events"
	"github.com/pouchfx/pouchfx/modules/lifecycle"
	"github.com/pouchfx/pouchfx/modules/registry"
	"github.com/pouchfx/pouchfx/modules/telemetry"
	"github.com/pouchfx/pouchfx/plugins"
	"github.com/pouchfx/pouchfx/types"
)

// maxHeader bounds the header of a request.
const maxHeader = 256 << 10

// timeouts are what a client may take its time for. A request whose header or
// body does not come is dropped; image archives have a limit of their own.
type timeouts struct{ header, request, idle time.Duration }

// Params are what the server needs.
type Params struct {
	Config     *config.Config
	Containers Containers
	Images     Images
	Volumes    Volumes
	Networks   Networks
	Engine     Engine
	Pods       Pods
	Events     *events.Bus
	Plugins    Plugins
	// Hooks is the chain of the API plugins.
	Hooks plugins.APIPlugin
	// Timeline is what GET /pouchfx/timeline shows.
	Timeline *lifecycle.Timeline
	// Recorder is told of all requests; nil for nobody.
	Recorder *telemetry.Recorder
	// Reporter answers GET /pouchfx/metrics and GET /pouchfx/health.
	Reporter Reporter
	// Fatal ends the daemon when a listener fails.
	Fatal lifecycle.Fatal
	Log   *zap.Logger
}

// Server is the API's server. It serves from Start to Stop.
type Server struct {
	params   Params
	streams  *streams
	timeouts timeouts

	server    *http.Server
	listeners []net.Listener
	serving   sync.WaitGroup
	abandon   context.CancelFunc // ends the contexts of all requests
}

// New makes a server that does not listen yet.
func New(p Params) *Server {
	return &Server{params: p, streams: newStreams(), timeouts: timeouts{10 * time.Second, time.Minute, 5 * time.Minute}}
}

// Start asks the plugins for the routes, opens all hosts and serves them.
func (s *Server) Start(ctx context.Context) error {
	router, err := s.assemble(ctx)
	if err != nil {
		return err
	}
	if err := s.open(); err != nil {
		return err
	}
	base, abandon := context.WithCancel(context.Background())
	s.abandon = abandon
	errorLog, _ := zap.NewStdLogAt(s.params.Log, zap.DebugLevel) // clients that break off: their business
	s.server = &http.Server{
		Handler:           &dispatcher{router: router, server: "pouchfx/" + build.Read().Version + " (linux)", recorder: s.params.Recorder, log: s.params.Log},
		ReadHeaderTimeout: s.timeouts.header,
		ReadTimeout:       s.timeouts.request,
		IdleTimeout:       s.timeouts.idle,
		MaxHeaderBytes:    maxHeader,
		BaseContext:       func(net.Listener) context.Context { return base },
		ConnContext:       withPeer,
		ErrorLog:          errorLog,
		Protocols:         new(http.Protocols),
	}
	s.server.Protocols.SetHTTP1(true)
	for _, l := range s.listeners {
		s.serving.Go(func() { s.serve(l) })
	}
	return nil
}

// assemble makes the router of all routes and what the plugins make of them.
func (s *Server) assemble(ctx context.Context) (*router, error) {
	routes, err := registry.UpdateHandler(ctx, s.params.Hooks, s.routes())
	if err != nil {
		return nil, fmt.Errorf("cannot assemble the API: %w", err)
	}
	return newRouter(routes)
}

// routes are those of the daemon, before the plugins.
func (s *Server) routes() []*types.HandlerSpec {
	p := s.params
	var all []*types.HandlerSpec
	for _, resource := range []interface{ routes() []*types.HandlerSpec }{
		&systemHandlers{p},
		&eventHandlers{p.Events, s.streams},
		&containerHandlers{p.Containers, s.streams},
		&execHandlers{p.Containers, s.streams},
		&archiveHandlers{p.Containers},
		&imageHandlers{p.Images},
		&commitHandlers{p.Containers},
		&volumeHandlers{p.Volumes},
		&networkHandlers{p.Networks, p.Containers},
		&ownHandlers{p},
		unsupported{},
	} {
		all = append(all, resource.routes()...)
	}
	return all
}

// open listens on every host, or on none.
func (s *Server) open() error {
	for _, host := range s.params.Config.Hosts {
		opened, err := listen(host, s.params.Config)
		if err != nil {
			return errors.Join(err, closeAll(s.listeners))
		}
		s.listeners = append(s.listeners, opened...)
	}
	return nil
}

func (s *Server) serve(l net.Listener) {
	address := l.Addr().Network() + "://" + l.Addr().String()
	s.params.Log.Info("API listens", zap.String("address", address))
	err := s.server.Serve(l)
	if err != nil && !errors.Is(err, http.ErrServerClosed) && s.params.Fatal != nil {
		s.params.Fatal(fmt.Errorf("the API cannot serve %s any longer: %w", address, err))
	}
}

// Addrs returns where the server listens.
func (s *Server) Addrs() []net.Addr {
	addrs := make([]net.Addr, len(s.listeners))
	for i, l := range s.listeners {
		addrs[i] = l.Addr()
	}
	return addrs
}

// Stop refuses new requests, ends the streams at once and waits for the other
// requests in progress, at most ShutdownTimeout. What is left is broken off.
// It is safe without Start, and twice.
func (s *Server) Stop(ctx context.Context) error {
	if s.server == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, s.params.Config.ShutdownTimeout)
	defer cancel()
	s.streams.stop()
	err := s.server.Shutdown(ctx)
	if err == nil {
		err = s.streams.wait(ctx)
	}
	s.abandon()
	s.streams.close()
	if err != nil {
		err = errors.Join(fmt.Errorf("the API broke off requests in progress: %w", err), s.server.Close())
	}
	s.serving.Wait()
	return err
}
