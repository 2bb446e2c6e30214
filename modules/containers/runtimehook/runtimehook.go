// Package runtimehook is this binary in the role of an OCI runtime hook: a
// short-lived process that runc starts in its own namespaces once a
// container's exist, before the container's process.
//
// Setting up the network is the hook of priority 0. Networks with endpoints are
// not there yet: for a container without a network it brings up loopback.
package runtimehook

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"runtime"
	"slices"
	"strconv"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

const (
	role    = "runtime-hook"
	network = "network"
	// maxState bounds what is read of the container's state.
	maxState = 1 << 20
)

// Args is the argv of the hook with the given name.
func Args(name string) []string { return []string{"demo-daemon", role, name} }

// Requested tells whether this process was started as a hook. It is asked
// before flags are parsed.
func Requested() bool { return len(os.Args) == 3 && os.Args[1] == role }

// Run is the hook's main. It returns the exit status; a failure fails the
// container's start with what is written to stderr.
func Run() int {
	if err := run(os.Args[2], os.Stdin); err != nil {
		fmt.Fprintf(os.Stderr, "%s: %v\n", os.Args[2], err)
		return 1
	}
	return 0
}

func run(name string, stdin io.Reader) error {
	if !slices.Contains([]string{network}, name) {
		return fmt.Errorf("there is no such runtime hook: use %q", network)
	}
	var state specs.State
	if err := json.NewDecoder(io.LimitReader(stdin, maxState)).Decode(&state); err != nil {
		return fmt.Errorf("cannot read the container's state: %w", err)
	}
	if state.Pid <= 0 {
		return fmt.Errorf("the container's state has no pid")
	}
	return inNetwork("/proc/"+strconv.Itoa(state.Pid)+"/ns/net", func() error { return setUp("lo") })
}

// inNetwork calls f in the network namespace at path. The thread that it runs
// on is not used for anything else.
func inNetwork(path string, f func() error) error {
	result := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends with the goroutine
		result <- func() error {
			ns, err := unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC, 0)
			if err != nil {
				return fmt.Errorf("cannot open network namespace %s: %w", path, err)
			}
			defer unix.Close(ns)
			if err := unix.Setns(ns, unix.CLONE_NEWNET); err != nil {
				return fmt.Errorf("cannot enter network namespace %s: %w", path, err)
			}
			return f()
		}()
	}()
	return <-result
}

// setUp brings an interface up.
func setUp(name string) error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	request, err := unix.NewIfreq(name)
	if err != nil {
		return err
	}
	if err := unix.IoctlIfreq(fd, unix.SIOCGIFFLAGS, request); err != nil {
		return fmt.Errorf("cannot ask for interface %s: %w", name, err)
	}
	if request.Uint16()&unix.IFF_UP != 0 {
		return nil
	}
	request.SetUint16(request.Uint16() | unix.IFF_UP)
	if err := unix.IoctlIfreq(fd, unix.SIOCSIFFLAGS, request); err != nil {
		return fmt.Errorf("cannot bring up interface %s: %w", name, err)
	}
	return nil
}
