package e2e

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"syscall"

	"golang.org/x/sys/unix"
)

// inside says, in the environment of the process that runs the tests, that it
// has a network namespace of its own.
const inside = "POUCHFX_E2E_INSIDE"

// outside is the machine's own network namespace: from it modules are fetched.
// All else is in the namespace of the tests, so that no bridge, rule, sysctl or
// port of the daemons under test ever touches the machine's.
var outside *os.File

// runInside runs this program again in a network namespace of its own, and
// returns its exit status. Output and signals pass.
func runInside() int {
	runtime.LockOSThread() // Pdeathsig is about the thread
	cmd := exec.Command("/proc/self/exe", os.Args[1:]...)
	cmd.Args[0] = os.Args[0]
	cmd.Env = append(os.Environ(), inside+"=1")
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET, Pdeathsig: syscall.SIGKILL}
	signals := make(chan os.Signal, 16)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGQUIT)
	if err := cmd.Start(); err != nil {
		fmt.Fprintln(os.Stderr, "e2e: a network namespace for the tests:", err)
		return 1
	}
	go func() {
		for s := range signals {
			cmd.Process.Signal(s)
		}
	}()
	err := cmd.Wait()
	if status, ok := cmd.ProcessState.Sys().(syscall.WaitStatus); ok && status.Signaled() {
		fmt.Fprintln(os.Stderr, "e2e:", err)
		return 128 + int(status.Signal())
	}
	return cmd.ProcessState.ExitCode()
}

// enter makes the namespace of this process fit for daemons.
func enter() (err error) {
	os.Unsetenv(inside)
	if outside, err = os.Open(fmt.Sprintf("/proc/%d/ns/net", os.Getppid())); err != nil {
		return err
	}
	own, err := os.Stat("/proc/self/ns/net")
	if err != nil {
		return err
	}
	if machines, err := outside.Stat(); err != nil || os.SameFile(own, machines) {
		return errors.Join(err, errors.New("the tests are in the machine's own network namespace"))
	}
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	lo, err := unix.NewIfreq("lo")
	if err != nil {
		return err
	}
	lo.SetUint16(unix.IFF_UP)
	return unix.IoctlIfreq(fd, unix.SIOCSIFFLAGS, lo)
}

// combinedOutputOutside runs a command in the machine's own namespace.
func combinedOutputOutside(cmd *exec.Cmd) (out []byte, err error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	own, err := os.Open("/proc/thread-self/ns/net")
	if err != nil {
		return nil, err
	}
	defer own.Close()
	if err := unix.Setns(int(outside.Fd()), unix.CLONE_NEWNET); err != nil {
		return nil, err
	}
	// The thread may be the first, which cannot end and is what /proc/self
	// shows: it goes back.
	defer func() {
		if err := unix.Setns(int(own.Fd()), unix.CLONE_NEWNET); err != nil {
			panic(err)
		}
	}()
	return cmd.CombinedOutput()
}
