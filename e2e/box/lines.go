package main

import (
	"bufio"
	"context"
	"errors"
	"strconv"
	"strings"

	"mvdan.cc/sh/v3/interp"
)

// lines writes args[0] lines of the other arguments.
func lines(_ context.Context, sh interp.HandlerContext, args []string) error {
	if len(args) == 0 {
		return errors.New("usage: lines NUMBER [TEXT]")
	}
	n, err := strconv.Atoi(args[0])
	if err != nil {
		return err
	}
	text := strings.Join(args[1:], " ") + "\n"
	out := bufio.NewWriterSize(sh.Stdout, 64<<10)
	for range n {
		if _, err := out.WriteString(text); err != nil {
			return err
		}
	}
	return out.Flush()
}
