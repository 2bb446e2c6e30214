package sidecars

import (
	"errors"
	"fmt"
	"os/exec"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// process is a child with the process group that it leads.
type process struct {
	cmd    *exec.Cmd
	output *output

	mu    sync.Mutex
	ended bool
}

// startProcess starts a program. The kernel kills it with the thread that has
// made it, not with the daemon: so the caller locks its goroutine to its
// thread until wait has returned.
func startProcess(argv, env []string, dir string, output *output) (*process, error) {
	p := &process{output: output, cmd: &exec.Cmd{
		Path: argv[0], Args: argv, Env: env, Dir: dir, Stdout: output, Stderr: output,
		SysProcAttr: &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL},
		WaitDelay:   time.Second, // for what has left the group with the pipe in its hands
	}}
	if err := p.cmd.Start(); err != nil {
		return nil, fmt.Errorf("cannot start it: %w", err)
	}
	return p, nil
}

// signal sends a signal to the group, if the process still runs.
func (p *process) signal(s unix.Signal) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.ended {
		_ = unix.Kill(-p.cmd.Process.Pid, s)
	}
}

// wait waits for the end of the process and kills what is left of its group.
func (p *process) wait() error {
	for {
		if err := unix.Waitid(unix.P_PID, p.cmd.Process.Pid, nil, unix.WEXITED|unix.WNOWAIT, nil); err != unix.EINTR {
			break
		}
	}
	// While the process is not reaped no other group can have its number.
	p.signal(unix.SIGKILL)
	p.mu.Lock()
	p.ended = true
	p.mu.Unlock()
	err := p.cmd.Wait()
	p.output.flush()
	if errors.Is(err, exec.ErrWaitDelay) {
		return nil
	}
	return err
}
