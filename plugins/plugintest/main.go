package plugintest

import (
	"fmt"
	"os"
	"runtime"
	"testing"

	"go.uber.org/zap"
	"golang.org/x/sys/unix"

	"github.com/pouchfx/pouchfx/modules/containers/role"
	"github.com/pouchfx/pouchfx/modules/logging"
	"github.com/pouchfx/pouchfx/modules/networks/netnstest"
)

// entered says that Main has made this process fit for daemons; machine is the
// network namespace that it left, from which modules can be fetched.
var (
	entered bool
	machine *os.File
)

// Main is the TestMain of packages that use Daemon. As root it runs the tests
// in a process with a network namespace of its own, which has loopback and
// nothing else: the bridges and rules of daemons are made there.
func Main(m *testing.M) {
	if status, played := role.Play(); played {
		os.Exit(status)
	}
	netnstest.Enter()
	if err := enter(); err != nil {
		fmt.Fprintln(os.Stderr, "plugintest:", err)
		os.Exit(1)
	}
	os.Exit(m.Run())
}

func enter() (err error) {
	if os.Geteuid() != 0 {
		return nil
	}
	if machine, err = os.Open(fmt.Sprintf("/proc/%d/ns/net", os.Getppid())); err != nil {
		return err
	}
	// containerd has one log in a process, and shims report after a test's end.
	log, err := zap.NewDevelopment(zap.IncreaseLevel(zap.WarnLevel))
	if err != nil {
		return err
	}
	logging.Containerd(log)
	entered = true
	return nil
}

// outside calls f on a thread in the machine's network namespace.
func outside(f func() error) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	own, err := os.Open("/proc/thread-self/ns/net")
	if err != nil {
		return err
	}
	defer own.Close()
	if err := unix.Setns(int(machine.Fd()), unix.CLONE_NEWNET); err != nil {
		return err
	}
	// The thread may be the process's first, which cannot end: it goes back.
	defer func() {
		if err := unix.Setns(int(own.Fd()), unix.CLONE_NEWNET); err != nil {
			panic(err)
		}
	}()
	return f()
}
