package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
	"mvdan.cc/sh/v3/interp"
)

// applet is a small command; it gets the shell's streams and directory.
type applet func(ctx context.Context, sh interp.HandlerContext, args []string) error

// exitStatus is an error that says nothing but the status.
type exitStatus int

func (s exitStatus) Error() string { return "exit status " + strconv.Itoa(int(s)) }

var applets map[string]applet

func init() {
	applets = map[string]applet{
		"cat": cat, "chmod": chmod, "dd": dd, "env": env, "false": falseApplet, "get": get, "httpd": httpd, "id": id, "ifaces": ifaces,
		"hostname": hostname, "kill": kill, "lines": lines, "ls": ls,
		"mkdir": mkdir, "nc": nc, "ps": ps, "readlink": readlink, "resolve": resolve, "rm": rm, "sleep": sleep,
		"stat": stat, "stty": stty, "touch": touch, "true": trueApplet, "tty": tty, "unshare": unshare, "wc": wc, "yes": yes,
		"echo": echo, "grep": grep, "exec-status": execStatus,
	}
}

func path(sh interp.HandlerContext, p string) string {
	if filepath.IsAbs(p) || sh.Dir == "" {
		return p
	}
	return filepath.Join(sh.Dir, p)
}

func echo(_ context.Context, sh interp.HandlerContext, args []string) error {
	_, err := fmt.Fprintln(sh.Stdout, strings.Join(args, " "))
	return err
}

func cat(_ context.Context, sh interp.HandlerContext, args []string) error {
	if len(args) == 0 {
		_, err := io.Copy(sh.Stdout, sh.Stdin)
		return err
	}
	for _, a := range args {
		f, err := os.Open(path(sh, a))
		if err != nil {
			return err
		}
		_, err = io.Copy(sh.Stdout, f)
		f.Close()
		if err != nil {
			return err
		}
	}
	return nil
}

func grep(_ context.Context, sh interp.HandlerContext, args []string) error {
	if len(args) == 0 {
		return errors.New("usage: grep STRING [FILE]")
	}
	in := io.Reader(sh.Stdin)
	if len(args) > 1 {
		f, err := os.Open(path(sh, args[1]))
		if err != nil {
			return err
		}
		defer f.Close()
		in = f
	}
	all, err := io.ReadAll(in)
	if err != nil {
		return err
	}
	found := false
	for line := range bytes.Lines(all) {
		if bytes.Contains(line, []byte(args[0])) {
			found = true
			sh.Stdout.Write(line)
		}
	}
	if !found {
		return exitStatus(1)
	}
	return nil
}

func wc(_ context.Context, sh interp.HandlerContext, _ []string) error {
	n, err := io.Copy(io.Discard, sh.Stdin)
	fmt.Fprintln(sh.Stdout, n)
	return err
}

// dd writes args[0] bytes of zeroes to standard output, or into args[1].
func dd(_ context.Context, sh interp.HandlerContext, args []string) error {
	if len(args) == 0 {
		return errors.New("usage: dd BYTES [FILE]")
	}
	n, err := strconv.ParseInt(args[0], 10, 64)
	if err != nil {
		return err
	}
	out := sh.Stdout
	if len(args) > 1 {
		f, err := os.Create(path(sh, args[1]))
		if err != nil {
			return err
		}
		defer f.Close()
		out = f
	}
	zero, err := os.Open("/dev/zero")
	if err != nil {
		return err
	}
	defer zero.Close()
	_, err = io.CopyN(out, zero, n)
	return err
}

func yes(ctx context.Context, sh interp.HandlerContext, args []string) error {
	line := []byte(strings.Join(append(args, ""), " ") + "\n")
	for ctx.Err() == nil {
		if _, err := sh.Stdout.Write(line); err != nil {
			return err
		}
	}
	return ctx.Err()
}

func chmod(_ context.Context, sh interp.HandlerContext, args []string) error {
	if len(args) != 2 {
		return errors.New("usage: chmod MODE FILE")
	}
	mode, err := strconv.ParseUint(args[0], 8, 32)
	if err != nil {
		return err
	}
	return os.Chmod(path(sh, args[1]), fs.FileMode(mode))
}

func env(_ context.Context, sh interp.HandlerContext, _ []string) error {
	vars := os.Environ()
	for _, v := range vars {
		fmt.Fprintln(sh.Stdout, v)
	}
	return nil
}

func hostname(_ context.Context, sh interp.HandlerContext, _ []string) error {
	name, err := os.Hostname()
	fmt.Fprintln(sh.Stdout, name)
	return err
}

func id(_ context.Context, sh interp.HandlerContext, args []string) error {
	groups, err := os.Getgroups()
	fmt.Fprintf(sh.Stdout, "uid=%d gid=%d groups=%v\n", os.Getuid(), os.Getgid(), groups)
	return err
}

func kill(_ context.Context, _ interp.HandlerContext, args []string) error {
	if len(args) != 2 || !strings.HasPrefix(args[0], "-") {
		return errors.New("usage: kill -SIGNAL PID")
	}
	sig, err := strconv.Atoi(args[0][1:])
	if err != nil {
		sig = int(unix.SignalNum("SIG" + args[0][1:]))
	}
	pid, err := strconv.Atoi(args[1])
	if err != nil {
		return err
	}
	return syscall.Kill(pid, syscall.Signal(sig))
}

func ls(_ context.Context, sh interp.HandlerContext, args []string) error {
	if len(args) == 0 {
		args = []string{"."}
	}
	for _, a := range args {
		entries, err := os.ReadDir(path(sh, a))
		if errors.Is(err, syscall.ENOTDIR) {
			fmt.Fprintln(sh.Stdout, a)
			continue
		}
		if err != nil {
			return err
		}
		for _, e := range entries {
			fmt.Fprintln(sh.Stdout, e.Name())
		}
	}
	return nil
}

func mkdir(_ context.Context, sh interp.HandlerContext, args []string) error {
	for _, a := range args {
		if err := os.MkdirAll(path(sh, a), 0o755); err != nil {
			return err
		}
	}
	return nil
}

func ps(_ context.Context, sh interp.HandlerContext, _ []string) error {
	dirs, err := filepath.Glob("/proc/[0-9]*")
	for _, d := range dirs {
		line, err := os.ReadFile(filepath.Join(d, "cmdline"))
		if err == nil {
			fmt.Fprintf(sh.Stdout, "%s %s\n", filepath.Base(d), bytes.ReplaceAll(bytes.TrimRight(line, "\x00"), []byte{0}, []byte{' '}))
		}
	}
	return err
}

func readlink(_ context.Context, sh interp.HandlerContext, args []string) error {
	for _, a := range args {
		target, err := os.Readlink(path(sh, a))
		if err != nil {
			return err
		}
		fmt.Fprintln(sh.Stdout, target)
	}
	return nil
}

func rm(_ context.Context, sh interp.HandlerContext, args []string) error {
	for _, a := range args {
		if err := os.RemoveAll(path(sh, a)); err != nil {
			return err
		}
	}
	return nil
}

func sleep(ctx context.Context, _ interp.HandlerContext, args []string) error {
	if len(args) != 1 {
		return errors.New("usage: sleep SECONDS")
	}
	seconds, err := strconv.ParseFloat(args[0], 64)
	if err != nil {
		return err
	}
	select {
	case <-time.After(time.Duration(seconds * float64(time.Second))):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// stat prints mode, owner and size of each file.
func stat(_ context.Context, sh interp.HandlerContext, args []string) error {
	for _, a := range args {
		fi, err := os.Lstat(path(sh, a))
		if err != nil {
			return err
		}
		st := fi.Sys().(*syscall.Stat_t)
		fmt.Fprintf(sh.Stdout, "%v %d:%d %d\n", fi.Mode(), st.Uid, st.Gid, fi.Size())
	}
	return nil
}

// stty prints the size of the terminal as `stty size` does.
func stty(_ context.Context, sh interp.HandlerContext, _ []string) error {
	size, err := unix.IoctlGetWinsize(0, unix.TIOCGWINSZ)
	if err != nil {
		return err
	}
	fmt.Fprintf(sh.Stdout, "%d %d\n", size.Row, size.Col)
	return nil
}

func tty(_ context.Context, sh interp.HandlerContext, _ []string) error {
	if _, err := unix.IoctlGetTermios(0, unix.TCGETS); err != nil {
		fmt.Fprintln(sh.Stdout, "not a tty")
		return exitStatus(1)
	}
	name, err := os.Readlink("/proc/self/fd/0")
	fmt.Fprintln(sh.Stdout, name)
	return err
}

func touch(_ context.Context, sh interp.HandlerContext, args []string) error {
	for _, a := range args {
		f, err := os.OpenFile(path(sh, a), os.O_CREATE|os.O_WRONLY, 0o644)
		if err != nil {
			return err
		}
		f.Close()
	}
	return nil
}

// unshare runs true in a user namespace of its own, which the default seccomp
// profile forbids.
func unshare(ctx context.Context, _ interp.HandlerContext, _ []string) error {
	cmd := exec.CommandContext(ctx, "/proc/self/exe")
	cmd.Args = []string{"true"}
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWUSER}
	return cmd.Run()
}

// httpd serves the directory args[1] (default /) on the address args[0].
func httpd(_ context.Context, _ interp.HandlerContext, args []string) error {
	if len(args) == 0 {
		return errors.New("usage: httpd ADDRESS [DIRECTORY]")
	}
	dir := "/"
	if len(args) > 1 {
		dir = args[1]
	}
	return http.ListenAndServe(args[0], http.FileServer(http.Dir(dir)))
}

// execStatus ends the process at once, without the shell's own handling.
func execStatus(_ context.Context, _ interp.HandlerContext, args []string) error {
	code, err := strconv.Atoi(strings.Join(args, ""))
	if err != nil {
		return err
	}
	os.Exit(code)
	return nil
}

func trueApplet(context.Context, interp.HandlerContext, []string) error  { return nil }
func falseApplet(context.Context, interp.HandlerContext, []string) error { return exitStatus(1) }
