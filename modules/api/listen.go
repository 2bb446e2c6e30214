package api

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/coreos/go-systemd/v22/activation"

	"github.com/pouchfx/pouchfx/modules/config"
)

// listen opens the listeners of one host: unix:///path, tcp://address:port or
// fd:// for the sockets that systemd passed.
func listen(host string, c *config.Config) ([]net.Listener, error) {
	scheme, rest, _ := strings.Cut(host, "://")
	switch scheme {
	case "unix":
		l, err := listenUnix(rest, c.Group)
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

// socketMode lets the group's members in and nobody else.
const socketMode = 0o660

// unixListener removes its socket when it closes, unless another daemon has
// put its own there.
type unixListener struct {
	net.Listener
	path string
	file os.FileInfo
}

// listenUnix makes a socket beside path and moves it there when its owner and
// mode are right, so that nobody can connect before.
func listenUnix(path, group string) (net.Listener, error) {
	gid, err := groupID(group)
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return nil, fmt.Errorf("cannot make the directory of the API's socket: %w", err)
	}
	if err := probe(path); err != nil {
		return nil, err
	}
	fresh := fmt.Sprintf("%s.%d", path, os.Getpid())
	if len(fresh) > 107 { // the kernel's limit
		fresh = filepath.Join(filepath.Dir(path), strconv.Itoa(os.Getpid()))
	}
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: fresh, Net: "unix"})
	if err != nil {
		return nil, cannotListen("unix://"+path, err)
	}
	l.SetUnlinkOnClose(false)
	err = os.Chmod(fresh, socketMode)
	if err == nil && gid >= 0 {
		err = os.Chown(fresh, -1, gid)
	}
	if err == nil {
		err = os.Rename(fresh, path)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("cannot listen on unix://%s: %w", path, err), l.Close(), os.Remove(fresh))
	}
	file, err := os.Lstat(path)
	if err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return &unixListener{Listener: l, path: path, file: file}, nil
}

func (l *unixListener) Addr() net.Addr { return &net.UnixAddr{Name: l.path, Net: "unix"} }

func (l *unixListener) Close() error {
	if now, err := os.Lstat(l.path); err == nil && os.SameFile(now, l.file) {
		_ = os.Remove(l.path)
	}
	return l.Listener.Close()
}

// probe makes sure that nobody listens on a socket that is there already.
func probe(path string) error {
	file, err := os.Lstat(path)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return nil
	case err != nil:
		return fmt.Errorf("cannot look at the API's socket: %w", err)
	case file.Mode().Type() != os.ModeSocket:
		return fmt.Errorf("%s is there and is not a socket: remove it or choose another --host", path)
	}
	conn, err := net.DialTimeout("unix", path, time.Second)
	if errors.Is(err, syscall.ECONNREFUSED) {
		return nil // left behind
	}
	if err == nil { // or it is too busy to answer
		_ = conn.Close()
	}
	return fmt.Errorf("another daemon is listening on %s: stop it or choose another --host", path)
}

// groupID resolves a group's name or number; -1 means the daemon's own.
func groupID(group string) (int, error) {
	if group == "" {
		return -1, nil
	}
	if gid, err := strconv.Atoi(group); err == nil {
		return gid, nil
	}
	g, err := user.LookupGroup(group)
	if err != nil {
		return 0, fmt.Errorf("group of the API's socket: %w: make it with groupadd or choose another --group", err)
	}
	return strconv.Atoi(g.Gid)
}
