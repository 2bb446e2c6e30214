// Package admin is the door for whoever runs a daemon that has no Docker API:
// a unix socket on which the commands explain, health and plugins find what they find
// below /pouchfx in Docker's API. What it tells has values of environment
// variables in it, so that it is for those alone who may inspect containers:
// the socket is the daemon's, or its group's, and is never one of tcp.
package admin

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/containerd/errdefs/pkg/errhttp"
	"go.uber.org/zap"

	"github.com/pouchfx/pouchfx/modules/explain"
	"github.com/pouchfx/pouchfx/modules/lifecycle"
	"github.com/pouchfx/pouchfx/modules/registry"
	"github.com/pouchfx/pouchfx/modules/unixsocket"
)

// Params are what the server needs.
type Params struct {
	// Socket is the path of the unix socket; Group owns it, by name or number,
	// empty for the daemon's own.
	Socket, Group string

	Plugins interface{ List() []registry.Info }
	Pods    interface {
		Explain(ctx context.Context, id string) (*explain.Explanation, error)
	}
	// Reporter answers GET /pouchfx/metrics and GET /pouchfx/health.
	Reporter interface {
		ServeMetrics(w http.ResponseWriter, r *http.Request)
		ServeHealth(w http.ResponseWriter, r *http.Request)
	}
	// Fatal ends the daemon when the socket fails.
	Fatal lifecycle.Fatal
	Log   *zap.Logger
}

// Server serves GET /pouchfx/plugins, /pouchfx/explain/{id}, /pouchfx/metrics and
// /pouchfx/health from Start to Stop.
type Server struct {
	params  Params
	server  *http.Server
	serving sync.WaitGroup
}

// New makes a server that does not listen yet.
func New(p Params) *Server {
	s := &Server{params: p}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /pouchfx/plugins", s.plugins)
	mux.HandleFunc("GET /pouchfx/explain/{id}", s.explain)
	mux.HandleFunc("GET /pouchfx/metrics", func(w http.ResponseWriter, r *http.Request) { s.params.Reporter.ServeMetrics(w, r) })
	mux.HandleFunc("GET /pouchfx/health", func(w http.ResponseWriter, r *http.Request) { s.params.Reporter.ServeHealth(w, r) })
	mux.HandleFunc("/", s.nothing)
	errorLog, _ := zap.NewStdLogAt(p.Log, zap.DebugLevel) // clients that break off: their business
	s.server = &http.Server{
		Handler:           mux,
		ReadHeaderTimeout: 10 * time.Second,
		ReadTimeout:       10 * time.Second,
		WriteTimeout:      time.Minute,
		IdleTimeout:       time.Minute,
		MaxHeaderBytes:    16 << 10,
		ErrorLog:          errorLog,
	}
	return s
}

// Start listens.
func (s *Server) Start(context.Context) error {
	l, err := unixsocket.Listen(s.params.Socket, s.params.Group)
	if err != nil {
		return err
	}
	s.serving.Go(func() { s.serve(l) })
	return nil
}

func (s *Server) serve(l net.Listener) {
	if err := s.server.Serve(l); !errors.Is(err, http.ErrServerClosed) && s.params.Fatal != nil {
		s.params.Fatal(fmt.Errorf("unix://%s cannot be served any longer: %w", s.params.Socket, err))
	}
}

// Stop breaks off whatever is asked. It is safe without Start, and twice.
func (s *Server) Stop(context.Context) error {
	err := s.server.Close()
	s.serving.Wait()
	return err
}

// plugins lists the daemon's plugins in their order.
func (s *Server) plugins(w http.ResponseWriter, _ *http.Request) {
	list := s.params.Plugins.List()
	if list == nil {
		list = []registry.Info{}
	}
	answer(w, http.StatusOK, list)
}

// explain tells what plugins did to a container of a pod.
func (s *Server) explain(w http.ResponseWriter, r *http.Request) {
	e, err := s.params.Pods.Explain(r.Context(), r.PathValue("id"))
	if err != nil {
		answer(w, errhttp.ToHTTP(err), message{err.Error()})
		return
	}
	answer(w, http.StatusOK, e)
}

// nothing answers those who take it for something else.
func (s *Server) nothing(w http.ResponseWriter, r *http.Request) {
	answer(w, http.StatusNotFound, message{fmt.Sprintf("%s %s: this daemon has no Docker API", r.Method, r.URL.Path)})
}

// message is an error as Docker's API tells it.
type message struct {
	Message string `json:"message"`
}

func answer(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v) // a client that has gone cannot be told
}
