// Command box is the one program of the images that tests and the demo run:
// a POSIX shell (mvdan.cc/sh) and a few applets in a static binary, so that a
// test writes `sh -c "echo out; exit 3"` as a user would, and nothing has to
// be fetched for it.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"

	"mvdan.cc/sh/v3/interp"
	"mvdan.cc/sh/v3/syntax"
)

func main() {
	// As PID 1 the kernel delivers only signals that have a handler.
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGTERM, syscall.SIGINT)
	go func() { os.Exit(128 + int((<-stop).(syscall.Signal))) }()

	args := os.Args
	args[0] = filepath.Base(args[0])
	if args[0] == "box" && len(args) > 1 {
		args = args[1:]
	}
	stdio := interp.HandlerContext{Env: nil, Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr}
	if args[0] == "sh" {
		os.Exit(shell(args[1:]))
	}
	applet, ok := applets[args[0]]
	if !ok {
		fmt.Fprintf(os.Stderr, "box: %s: no such applet\n", args[0])
		os.Exit(127)
	}
	os.Exit(run(context.Background(), applet, stdio, args))
}

// run calls an applet and turns its error into an exit status.
func run(ctx context.Context, a applet, io interp.HandlerContext, args []string) int {
	err := a(ctx, io, args[1:])
	var status exitStatus
	switch {
	case err == nil:
		return 0
	case errors.As(err, &status):
		return int(status)
	}
	fmt.Fprintf(io.Stderr, "%s: %v\n", args[0], err)
	return 1
}

// shell runs `sh`, `sh -c script [name args…]` or `sh file [args…]`.
func shell(args []string) int {
	var script, name string
	params := []string{"--"}
	switch {
	case len(args) == 0:
		return interpret(syntax.NewParser(), "", os.Stdin, params)
	case args[0] == "-c" && len(args) > 1:
		script, name = args[1], "sh"
		if len(args) > 3 {
			params = append(params, args[3:]...)
		}
	default:
		b, err := os.ReadFile(args[0])
		if err != nil {
			fmt.Fprintln(os.Stderr, "sh:", err)
			return 127
		}
		script, name = string(b), args[0]
		params = append(params, args[1:]...)
	}
	return interpret(syntax.NewParser(), name, strings.NewReader(script), params)
}

func interpret(parser *syntax.Parser, name string, script interface{ Read([]byte) (int, error) }, params []string) int {
	runner, err := interp.New(
		interp.StdIO(os.Stdin, os.Stdout, os.Stderr),
		interp.Params(params...),
		interp.ExecHandlers(func(next interp.ExecHandlerFunc) interp.ExecHandlerFunc {
			return func(ctx context.Context, args []string) error {
				io := interp.HandlerCtx(ctx)
				a, ok := applets[args[0]]
				if !ok {
					return next(ctx, args)
				}
				if status := run(ctx, a, io, args); status != 0 {
					return interp.ExitStatus(status)
				}
				return nil
			}
		}),
	)
	if err != nil {
		fmt.Fprintln(os.Stderr, "sh:", err)
		return 2
	}
	ctx := context.Background()
	if name == "" { // statement by statement, as they are typed
		for stmt, err := range parser.StmtsSeq(script) {
			if err != nil {
				fmt.Fprintln(os.Stderr, "sh:", err)
				return 2
			}
			if err := runner.Run(ctx, stmt); runner.Exited() {
				return status(err)
			}
		}
		return 0
	}
	file, err := parser.Parse(script, name)
	if err != nil {
		fmt.Fprintln(os.Stderr, "sh:", err)
		return 2
	}
	return status(runner.Run(ctx, file))
}

func status(err error) int {
	var s interp.ExitStatus
	switch {
	case err == nil:
		return 0
	case errors.As(err, &s):
		return int(s)
	}
	fmt.Fprintln(os.Stderr, "sh:", err)
	return 1
}
