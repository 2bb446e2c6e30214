package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"time"

	"mvdan.cc/sh/v3/interp"
)

// nc connects its streams with a TCP connection, as netcat does:
// `nc [-z] [-v] [-w SECONDS] HOST PORT`, or `nc -l PORT` for the first caller.
func nc(ctx context.Context, sh interp.HandlerContext, args []string) error {
	var zero, verbose, listen bool
	var wait float64
	flags := flag.NewFlagSet("nc", flag.ContinueOnError)
	flags.SetOutput(sh.Stderr)
	flags.BoolVar(&zero, "z", false, "only try to connect")
	flags.BoolVar(&zero, "vz", false, "the same, and say so")
	flags.BoolVar(&verbose, "v", false, "say what was connected")
	flags.BoolVar(&listen, "l", false, "wait for a caller on PORT")
	flags.Float64Var(&wait, "w", 10, "how many `seconds` to wait for a connection")
	if err := flags.Parse(args); err != nil {
		return err
	}
	var conn net.Conn
	var err error
	switch {
	case listen && flags.NArg() == 1:
		conn, err = firstCaller(ctx, flags.Arg(0))
	case !listen && flags.NArg() == 2:
		dialer := net.Dialer{Timeout: time.Duration(wait * float64(time.Second))}
		conn, err = dialer.DialContext(ctx, "tcp", net.JoinHostPort(flags.Arg(0), flags.Arg(1)))
	default:
		return errors.New("usage: nc [-z] [-v] [-w SECONDS] HOST PORT | nc -l PORT")
	}
	if err != nil {
		return err
	}
	defer conn.Close()
	if verbose || zero {
		fmt.Fprintln(sh.Stderr, "connected to", conn.RemoteAddr())
	}
	if zero {
		return nil
	}
	go func() {
		io.Copy(conn, sh.Stdin)
		conn.(*net.TCPConn).CloseWrite()
	}()
	_, err = io.Copy(sh.Stdout, conn)
	return err
}

func firstCaller(ctx context.Context, port string) (net.Conn, error) {
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", ":"+port)
	if err != nil {
		return nil, err
	}
	defer l.Close()
	return l.Accept()
}
