// Package initrole is this binary in the role of a container's init process,
// which --init asks for: it runs the command, passes signals on to it, reaps
// the processes that lost their parents, and ends with the command's status.
package initrole

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"syscall"

	"golang.org/x/sys/unix"
)

// name is that of the program in a container; see ocispec.InitPath.
const name = "docker-init"

// Requested tells whether this process was started as an init process. It is
// asked before flags are parsed.
func Requested() bool {
	return filepath.Base(os.Args[0]) == name && len(os.Args) > 2 && os.Args[1] == "--"
}

// Run is the init process's main. It returns the exit status.
func Run() int {
	signals := make(chan os.Signal, 64)
	signal.Notify(signals) // before the command is there, so that none is lost
	child, err := start(os.Args[2:])
	if err != nil {
		fmt.Fprintf(os.Stderr, "%s: %v\n", name, err)
		if errors.Is(err, exec.ErrNotFound) || errors.Is(err, fs.ErrNotExist) {
			return 127
		}
		return 126
	}
	for s := range signals {
		switch s {
		case unix.SIGCHLD:
			if status, ended := reap(child); ended {
				return status
			}
		case unix.SIGURG: // the Go runtime's own
		case unix.SIGTTIN, unix.SIGTTOU: // ours, for a terminal that the command holds
		default:
			_ = unix.Kill(child, s.(syscall.Signal)) // it may just have ended: SIGCHLD follows
		}
	}
	return 0
}

// start runs the command in a process group of its own, in the foreground of
// the terminal if there is one.
func start(args []string) (pid int, err error) {
	path, err := exec.LookPath(args[0])
	if err != nil && !errors.Is(err, exec.ErrDot) {
		return 0, err
	}
	attr := &syscall.SysProcAttr{Setpgid: true}
	if _, err := unix.IoctlGetTermios(0, unix.TCGETS); err == nil {
		attr.Foreground, attr.Ctty = true, 0
	}
	p, err := os.StartProcess(path, args, &os.ProcAttr{Env: os.Environ(), Files: []*os.File{os.Stdin, os.Stdout, os.Stderr}, Sys: attr})
	if err != nil {
		return 0, err
	}
	return p.Pid, nil
}

// reap waits for all processes that have ended, and reports the child's status
// when it is among them.
func reap(child int) (status int, ended bool) {
	for {
		var ws unix.WaitStatus
		pid, err := unix.Wait4(-1, &ws, unix.WNOHANG, nil)
		switch {
		case errors.Is(err, unix.EINTR):
		case err != nil || pid <= 0:
			return status, ended
		case pid == child && ws.Exited():
			status, ended = ws.ExitStatus(), true
		case pid == child && ws.Signaled():
			status, ended = 128+int(ws.Signal()), true
		}
	}
}
