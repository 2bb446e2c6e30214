package api

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"strings"
	"syscall"

	"github.com/coreos/go-systemd/v22/activation"

	"github.com/pouchfx/pouchfx/modules/config"
	"github.com/pouchfx/pouchfx/modules/unixsocket"
)

// listen opens the listeners of one host: unix:///path, tcp://address:port or
// fd:// for the sockets that systemd passed.
func listen(host string, c *config.Config) ([]net.Listener, error) {
	scheme, rest, _ := strings.Cut(host, "://")
	switch scheme {
	case "unix":
		l, err := unixsocket.Listen(rest, c.Group)
		return []net.Listener{l}, err
	case "tcp":
		l, err := listenTCP(rest, c)
		return []net.Listener{l}, err
	case "fd":
		return listenSystemd(c)
	}
	return nil, fmt.Errorf("host %q: use unix:///path, tcp://address:port or fd://", host)
}

func listenTCP(address string, c *config.Config) (net.Listener, error) {
	secure, err := tlsConfig(c)
	if err != nil {
		return nil, err
	}
	l, err := net.Listen("tcp", address)
	if err != nil {
		return nil, cannotListen("tcp://"+address, err)
	}
	return wrapTLS(l, secure), nil
}

// cannotListen says what to do about what is common.
func cannotListen(host string, err error) error {
	remedy := "choose another --host"
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		remedy = "stop the program that uses it, or " + remedy
	case errors.Is(err, syscall.EACCES), errors.Is(err, syscall.EPERM):
		remedy = "start the daemon as root, or " + remedy
	}
	return fmt.Errorf("cannot listen on %s: %w: %s", host, err, remedy)
}

func listenSystemd(c *config.Config) ([]net.Listener, error) {
	passed, err := activation.Listeners()
	if err != nil {
		return nil, fmt.Errorf("cannot take the sockets of systemd: %w", err)
	}
	var listeners []net.Listener
	for _, l := range passed {
		if l == nil {
			continue // not a stream socket
		}
		if l.Addr().Network() == "tcp" {
			secure, err := tlsConfig(c)
			if err != nil {
				return nil, errors.Join(err, closeAll(append(listeners, passed...)))
			}
			l = wrapTLS(l, secure)
		}
		listeners = append(listeners, l)
	}
	if len(listeners) == 0 {
		return nil, errors.New("host fd://: systemd passed no socket, start the daemon through its socket unit")
	}
	return listeners, nil
}

func wrapTLS(l net.Listener, c *tls.Config) net.Listener {
	if c == nil {
		return l
	}
	return tls.NewListener(l, c)
}

func closeAll(listeners []net.Listener) error {
	var errs []error
	for _, l := range listeners {
		if l != nil {
			errs = append(errs, l.Close())
		}
	}
	return errors.Join(errs...)
}
