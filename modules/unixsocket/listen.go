// Package unixsocket makes the unix sockets on which the daemon's doors
// listen: nobody can connect before owner and mode are right, a socket that a
// killed daemon left is replaced, and one that somebody listens on is not.
package unixsocket

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"
	"time"
)

const (
	// mode lets the group's members in and nobody else.
	mode = 0o660
	// maxPath is the kernel's limit for the path of a unix socket.
	maxPath = 107
)

// listener removes its socket when it closes, unless another daemon has put
// its own there.
type listener struct {
	net.Listener
	path string
	file os.FileInfo
}

// Listen makes a socket of mode 0660 at path, with its directory, that belongs
// to group: a name, a number, or empty for the daemon's own. The socket is
// made beside path and moved there when it is ready.
func Listen(path, group string) (net.Listener, error) {
	gid, err := groupID(group)
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return nil, fmt.Errorf("cannot make the directory of the socket: %w", err)
	}
	if err := probe(path); err != nil {
		return nil, err
	}
	fresh := fmt.Sprintf("%s.%d", path, os.Getpid())
	if len(fresh) > maxPath {
		fresh = filepath.Join(filepath.Dir(path), strconv.Itoa(os.Getpid()))
	}
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: fresh, Net: "unix"})
	if err != nil {
		return nil, fmt.Errorf("cannot listen on unix://%s: %w: start the daemon as root, or choose another path", path, err)
	}
	l.SetUnlinkOnClose(false)
	err = os.Chmod(fresh, mode)
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
	return &listener{Listener: l, path: path, file: file}, nil
}

func (l *listener) Addr() net.Addr { return &net.UnixAddr{Name: l.path, Net: "unix"} }

func (l *listener) Close() error {
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
		return fmt.Errorf("cannot look at the socket: %w", err)
	case file.Mode().Type() != os.ModeSocket:
		return fmt.Errorf("%s is there and is not a socket: remove it or choose another path", path)
	}
	conn, err := net.DialTimeout("unix", path, time.Second)
	if errors.Is(err, syscall.ECONNREFUSED) {
		return nil // left behind
	}
	if err == nil { // or it is too busy to answer
		_ = conn.Close()
	}
	return fmt.Errorf("another daemon is listening on %s: stop it or choose another path", path)
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
		return 0, fmt.Errorf("group of the socket: %w: make it with groupadd or choose another --group", err)
	}
	return strconv.Atoi(g.Gid)
}
