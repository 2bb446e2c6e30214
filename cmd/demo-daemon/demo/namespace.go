package demo

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"syscall"
	"time"

	"github.com/vishvananda/netlink"
)

// apart says, in the environment of the process that tells the story, that it
// has a network namespace of its own.
const apart = "DEMO_DAEMON_APART" // no setting of a daemon

// runApart runs the demo again as a process in a network namespace of its own:
// bridges, rules and ports of its daemon never touch the machine's, and end
// with it.
func runApart(ctx context.Context, out io.Writer) error {
	runtime.LockOSThread() // what Pdeathsig is about
	defer runtime.UnlockOSThread()
	cmd := exec.CommandContext(ctx, "/proc/self/exe", "demo")
	cmd.Args[0] = os.Args[0]
	cmd.Env = append(os.Environ(), apart+"=1")
	cmd.Stdout, cmd.Stderr = out, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET, Pdeathsig: syscall.SIGKILL}
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = time.Minute
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("cannot make a network namespace for the demo: %w", err)
	}
	return cmd.Wait()
}

// loopbackUp makes the namespace fit for a registry on loopback.
func loopbackUp() error {
	lo, err := netlink.LinkByName("lo")
	if err == nil {
		err = netlink.LinkSetUp(lo)
	}
	return err
}

// devices are the interfaces of the demo's namespace, beside loopback.
func devices() ([]string, error) {
	links, err := netlink.LinkList()
	var names []string
	for _, l := range links {
		if name := l.Attrs().Name; name != "lo" && l.Attrs().Flags&1 != 0 { // kernels put down ones into each namespace
			names = append(names, name)
		}
	}
	return names, err
}
