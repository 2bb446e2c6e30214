package runtimehook

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"sync"
	"time"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// readLimit bounds the time in which a hook says what it wants.
const readLimit = 10 * time.Second

// Door is where hooks of this binary reach the daemon: a unix socket.
type Door struct {
	path   string
	handle func(context.Context, specs.State) error

	listener *net.UnixListener
	serving  sync.WaitGroup
	cancel   context.CancelFunc
}

// NewDoor makes the door with its socket at path, in a directory that only
// root may enter. handle does what a hook asks for and may be called for
// several containers at once; its context ends with Close.
func NewDoor(path string, handle func(context.Context, specs.State) error) *Door {
	return &Door{path: path, handle: handle}
}

// Path is where the socket is.
func (d *Door) Path() string { return d.path }

// Open listens. The socket of a daemon that was killed is removed.
func (d *Door) Open() error {
	if err := os.MkdirAll(filepath.Dir(d.path), 0o700); err != nil {
		return err
	}
	if err := os.Remove(d.path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	listener, err := net.ListenUnix("unix", &net.UnixAddr{Name: d.path, Net: "unix"})
	if err != nil {
		return fmt.Errorf("cannot listen for runtime hooks: %w", err)
	}
	d.listener = listener
	var ctx context.Context
	ctx, d.cancel = context.WithCancel(context.Background())
	d.serving.Go(func() {
		for {
			conn, err := listener.AcceptUnix()
			if err != nil {
				return // closed
			}
			d.serving.Go(func() { d.serve(ctx, conn) })
		}
	})
	return nil
}

// Close ends what is in progress and waits for it. It is safe without Open.
func (d *Door) Close() error {
	if d.listener == nil {
		return nil
	}
	d.cancel()
	err := d.listener.Close()
	d.serving.Wait()
	d.listener = nil
	return err
}

// serve answers one hook.
func (d *Door) serve(ctx context.Context, conn *net.UnixConn) {
	defer conn.Close()
	answer := done
	if err := d.answer(ctx, conn); err != nil {
		answer = err.Error()
	}
	_ = conn.SetWriteDeadline(time.Now().Add(readLimit))
	_, _ = io.WriteString(conn, answer) // a hook that left has failed already
}

func (d *Door) answer(ctx context.Context, conn *net.UnixConn) error {
	if err := onlyRoot(conn); err != nil {
		return err
	}
	_ = conn.SetReadDeadline(time.Now().Add(readLimit))
	var state specs.State
	if err := json.NewDecoder(io.LimitReader(conn, maxState)).Decode(&state); err != nil {
		return fmt.Errorf("cannot read the container's state: %w", err)
	}
	if state.ID == "" {
		return errors.New("the container's state has no id")
	}
	return d.handle(ctx, state)
}

// onlyRoot refuses a process that is not ours, should the directory ever be
// open to others.
func onlyRoot(conn *net.UnixConn) error {
	raw, err := conn.SyscallConn()
	if err != nil {
		return err
	}
	var peer *unix.Ucred
	var failed error
	if err := raw.Control(func(fd uintptr) {
		peer, failed = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED)
	}); err != nil {
		return err
	}
	if failed != nil {
		return failed
	}
	if int(peer.Uid) != os.Geteuid() {
		return errors.New("only the daemon's own hooks may ask")
	}
	return nil
}
