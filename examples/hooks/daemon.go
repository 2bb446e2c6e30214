package hooks

import (
	"context"
	"errors"
	"net"
	"net/http"
	"time"

	"github.com/pouchfx/pouchfx/plugins"
)

// Status answers on a port of its own for as long as the daemon lives.
type Status struct {
	address string
	server  *http.Server
	ended   chan error
}

// StatusModule makes it part of a daemon.
var StatusModule = plugins.Provide("status", NewStatus, plugins.Defaults(StatusConfig{Address: "127.0.0.1:0"}), plugins.Optional())

// StatusConfig is the section plugins.status of the configuration file.
type StatusConfig struct {
	Address string `yaml:"address"`
}

// NewStatus opens nothing: that is for PreStartHook.
func NewStatus(c StatusConfig) (*Status, error) {
	return &Status{address: c.Address, server: &http.Server{ReadHeaderTimeout: time.Second}, ended: make(chan error, 1)}, nil
}

// PreStartHook runs before the engine starts.
func (s *Status) PreStartHook() error {
	listener, err := net.Listen("tcp", s.address)
	if err != nil {
		return err
	}
	go func() { s.ended <- s.server.Serve(listener) }()
	return nil
}

// PreStopHook runs after all else has stopped, even when PreStartHook failed or
// still runs: a server that was shut down refuses to serve.
func (s *Status) PreStopHook() error {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	return errors.Join(s.server.Shutdown(ctx), s.server.Close())
}
