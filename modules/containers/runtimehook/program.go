package runtimehook

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/pouchfx/pouchfx/plugins"
)

// leeway is how much earlier than the runtime would this binary ends a
// program, so that it is the one who tells.
const leeway = time.Second

// runProgram runs a program of a plugin with the container's state, and says
// which it was that failed. What the program itself has said is before that in
// the same stderr.
func runProgram(text string, state io.Reader, stdout, stderr *os.File) error {
	var p plugins.HookProgram
	if err := json.Unmarshal([]byte(text), &p); err != nil {
		return fmt.Errorf("cannot read what to run: %w", err)
	}
	if err := p.Validate(); err != nil {
		return fmt.Errorf("runtime hook %s: %w", p.Name, err)
	}
	limit := plugins.RuntimeHookLimit - leeway
	if p.Timeout > 0 {
		limit = min(limit, p.Timeout)
	}
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	if err := start(ctx, &p, state, stdout, stderr); ctx.Err() != nil {
		return fmt.Errorf("runtime hook %s: %s did not end within %v", p.Name, p.Path, limit)
	} else if err != nil {
		return fmt.Errorf("runtime hook %s: %s: %w", p.Name, p.Path, err)
	}
	return nil
}

// start runs the program in a process group of its own: all of it ends with
// the time, and the program with this process.
func start(ctx context.Context, p *plugins.HookProgram, state io.Reader, stdout, stderr *os.File) error {
	runtime.LockOSThread() // whose end is the parent's
	defer runtime.UnlockOSThread()
	cmd := exec.CommandContext(ctx, p.Path)
	if len(p.Args) > 0 {
		cmd.Args = p.Args
	}
	cmd.Env = slices.Clone(p.Env)
	if !slices.ContainsFunc(p.Env, func(e string) bool { return strings.HasPrefix(e, "PATH=") }) {
		cmd.Env = append(cmd.Env, "PATH="+os.Getenv("PATH")) // which the daemon chose for hooks
	}
	cmd.Stdin, cmd.Stdout, cmd.Stderr = state, stdout, stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = leeway
	var exit *exec.ExitError
	if err := cmd.Run(); errors.As(err, &exit) {
		return errors.New(exit.String())
	} else if err != nil && !errors.Is(err, exec.ErrWaitDelay) { // of one that did not read the state
		return err
	}
	return nil
}
