// Package runtimehook is the setting up of a container's network as an OCI
// runtime hook: both ends of it.
//
// runc starts this binary in the role of the hook, in its own namespaces, once
// those of the container exist and before the container's process. The hook
// knows nothing of networks: it hands the container's state to the daemon,
// through a socket, and waits until the daemon has set the network up (Door).
// So hooks of plugins that run before it see no interface but loopback, and
// those behind it see them all.
//
// In the same way this binary runs the programs of plugins that say more than
// their argv (plugins.HookProgram): with their environment, and no longer than
// they may.
package runtimehook

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"slices"

	"github.com/pouchfx/pouchfx/plugins"
)

const (
	role    = plugins.RuntimeHookRole
	network = "network"
	// maxState bounds what is read of a container's state, maxAnswer what is
	// read of the daemon's.
	maxState, maxAnswer = 1 << 20, 64 << 10
)

// Args is the argv of the hook that has the daemon behind a socket set up a
// container's network.
func Args(socket string) []string { return []string{"demo-daemon", role, network, socket} }

// Requested tells whether this process was started as a hook. It is asked
// before flags are parsed.
func Requested() bool { return len(os.Args) == 4 && os.Args[1] == role }

// Run is the hook's main. It returns the exit status; a failure fails the
// container's start with what is written to stderr.
func Run() int {
	var err error
	if name := os.Args[2]; name == plugins.RunProgram {
		err = runProgram(os.Args[3], os.Stdin, os.Stdout, os.Stderr)
	} else if err = run(name, os.Args[3], os.Stdin); err != nil {
		err = fmt.Errorf("%s: %w", name, err)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

// run gives the state to the daemon and returns what the daemon answers:
// nothing, or the text of an error. How long that may take is the runtime's
// affair, which ends the hook.
func run(name, socket string, state io.Reader) error {
	if !slices.Contains([]string{network}, name) {
		return fmt.Errorf("there is no such runtime hook: use %q or %q", network, plugins.RunProgram)
	}
	conn, err := net.DialUnix("unix", nil, &net.UnixAddr{Name: socket, Net: "unix"})
	if err != nil {
		return fmt.Errorf("cannot reach the daemon: %w", err)
	}
	defer conn.Close()
	if _, err := io.Copy(conn, io.LimitReader(state, maxState)); err != nil {
		return fmt.Errorf("cannot tell the daemon of the container: %w", err)
	}
	if err := conn.CloseWrite(); err != nil {
		return fmt.Errorf("cannot tell the daemon of the container: %w", err)
	}
	answer, err := io.ReadAll(io.LimitReader(conn, maxAnswer))
	switch {
	case err != nil:
		return fmt.Errorf("the daemon does not answer: %w", err)
	case len(answer) == 0: // it was killed, or broke off
		return errors.New("the daemon went away")
	case string(answer) != done:
		return errors.New(string(answer))
	}
	return nil
}

// done is the daemon's answer when the network is there.
const done = "ok"
