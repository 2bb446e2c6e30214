// Package netnstest gives tests network namespaces: one for the whole test
// process, in place of the machine's own, and more of them within a test.
//
// A package that uses it has
//
//	func TestMain(m *testing.M) { netnstest.Main(m) }
//
// Namespaces are held by file descriptors alone and end with them.
package netnstest

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// inside says, in the environment of a test process, that it has a network
// namespace of its own.
const inside = "POUCHFX_TEST_NETNS"

// Main runs the tests in a process with a network namespace of its own, whose
// loopback is up. Without root, the tests run where they are, to be skipped.
func Main(m *testing.M) {
	Enter()
	os.Exit(m.Run())
}

// Enter is Main for who has more to do before the tests run: it returns in the
// process that has the namespace, and ends the other one with it.
func Enter() {
	if os.Geteuid() != 0 {
		return
	}
	if os.Getenv(inside) != "" {
		if err := loopbackUp(); err != nil {
			fmt.Fprintln(os.Stderr, "netnstest:", err)
			os.Exit(1)
		}
		return
	}
	runtime.LockOSThread() // Pdeathsig is about the thread
	cmd := exec.Command("/proc/self/exe", os.Args[1:]...)
	cmd.Args[0] = os.Args[0]
	cmd.Env = append(os.Environ(), inside+"=1")
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET, Pdeathsig: syscall.SIGKILL}
	if err := cmd.Run(); err != nil {
		if !errors.As(err, new(*exec.ExitError)) {
			fmt.Fprintln(os.Stderr, "netnstest:", err)
		}
		os.Exit(1)
	}
	os.Exit(0)
}

// RequireRoot skips a test that cannot have namespaces.
func RequireRoot(tb testing.TB) {
	tb.Helper()
	if os.Geteuid() != 0 {
		tb.Skip("needs root")
	}
}

// Namespace is a network namespace of a test.
type Namespace struct{ file *os.File }

// New makes a namespace whose loopback is up; it ends with the test.
func New(tb testing.TB) *Namespace {
	tb.Helper()
	RequireRoot(tb)
	n := &Namespace{}
	err := onThread(func() (err error) {
		if err = unix.Unshare(unix.CLONE_NEWNET); err != nil {
			return err
		}
		if n.file, err = os.Open("/proc/thread-self/ns/net"); err != nil {
			return err
		}
		return loopbackUp()
	})
	require.NoError(tb, err, "a network namespace")
	tb.Cleanup(func() { n.file.Close() })
	return n
}

// Path stands for the namespace in this process.
func (n *Namespace) Path() string { return fmt.Sprintf("/proc/self/fd/%d", n.file.Fd()) }

// FD is the namespace's file descriptor.
func (n *Namespace) FD() int { return int(n.file.Fd()) }

// Do calls f on a thread that is in the namespace. Sockets which f makes stay
// in it, whoever uses them later; goroutines which f starts are not in it.
func (n *Namespace) Do(f func() error) error {
	return onThread(func() error {
		if err := unix.Setns(n.FD(), unix.CLONE_NEWNET); err != nil {
			return err
		}
		return f()
	})
}

var errEnded = errors.New("the test ended inside a network namespace")

// onThread calls f on a thread whose network namespace it may change.
func onThread(f func() error) error {
	ended := make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		err := errEnded
		defer func() { ended <- err }()
		own, e := os.Open("/proc/thread-self/ns/net")
		if e != nil {
			err = e
			return
		}
		defer own.Close()
		err = f()
		// The thread may be the process's first, which does not end with the
		// goroutine and would hold the namespace.
		if back := unix.Setns(int(own.Fd()), unix.CLONE_NEWNET); back != nil {
			err = errors.Join(err, back)
			return
		}
		runtime.UnlockOSThread()
	}()
	return <-ended
}

func loopbackUp() error {
	lo, err := netlink.LinkByName("lo")
	if err != nil {
		return err
	}
	return netlink.LinkSetUp(lo)
}
