package telemetry

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/pouchfx/pouchfx/modules/lifecycle"
	"github.com/pouchfx/pouchfx/modules/unixsocket"
)

// Server serves GET /metrics and GET /health, to whoever reaches it, from
// Start to Stop.
type Server struct {
	address, group string
	fatal          lifecycle.Fatal
	log            *zap.Logger

	server   *http.Server
	listener net.Listener
	serving  sync.WaitGroup
}

// NewServer makes a server that does not listen yet. The address is host:port
// or unix:///path; group owns the socket, by name or number, empty for the
// daemon's own. fatal ends the daemon when the listener fails.
func NewServer(address, group string, r *Reporter, fatal lifecycle.Fatal, log *zap.Logger) *Server {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /metrics", r.ServeMetrics)
	mux.HandleFunc("GET /health", r.ServeHealth)
	errorLog, _ := zap.NewStdLogAt(log, zap.DebugLevel) // clients that break off: their business
	return &Server{address: address, group: group, fatal: fatal, log: log, server: &http.Server{
		Handler:           mux,
		ReadHeaderTimeout: 10 * time.Second,
		ReadTimeout:       10 * time.Second,
		WriteTimeout:      time.Minute,
		IdleTimeout:       5 * time.Minute,
		MaxHeaderBytes:    16 << 10,
		ErrorLog:          errorLog,
	}}
}

// Start listens.
func (s *Server) Start(context.Context) error {
	l, err := s.listen()
	if err != nil {
		return fmt.Errorf("metrics: %w", err)
	}
	s.listener = l
	s.log.Info("metrics and health are served", zap.String("address", s.address))
	if tcp, ok := l.Addr().(*net.TCPAddr); ok && !tcp.IP.IsLoopback() {
		s.log.Warn("whoever reaches the address of the metrics may read them: keep strangers out with a firewall", zap.String("address", s.address))
	}
	s.serving.Go(func() {
		if err := s.server.Serve(l); !errors.Is(err, http.ErrServerClosed) && s.fatal != nil {
			s.fatal(fmt.Errorf("metrics cannot be served on %s any longer: %w", s.address, err))
		}
	})
	return nil
}

func (s *Server) listen() (net.Listener, error) {
	if path, ok := strings.CutPrefix(s.address, "unix://"); ok {
		return unixsocket.Listen(path, s.group)
	}
	l, err := net.Listen("tcp", s.address)
	if err != nil {
		return nil, fmt.Errorf("cannot listen on %s: %w: stop the program that uses it, or choose another --metrics-addr", s.address, err)
	}
	return l, nil
}

// Addr returns where the server listens.
func (s *Server) Addr() net.Addr { return s.listener.Addr() }

// Stop breaks off whatever is asked. It is safe without Start, and twice.
func (s *Server) Stop(context.Context) error {
	err := s.server.Close()
	s.serving.Wait()
	return err
}
