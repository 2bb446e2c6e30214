package demo

import (
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"golang.org/x/term"
)

// narrator prints the story, and counts its claims.
type narrator struct {
	out            io.Writer
	colour         bool
	begin          time.Time
	claims, failed int
}

func newNarrator(out io.Writer) *narrator {
	f, ok := out.(*os.File)
	return &narrator{out: out, begin: time.Now(), colour: ok && term.IsTerminal(int(f.Fd())) && os.Getenv("NO_COLOR") == ""}
}

// The escape sequences of a terminal.
const (
	bold  = "1"
	red   = "31"
	green = "32"
	grey  = "90"
)

func (n *narrator) paint(style, text string) string {
	if !n.colour {
		return text
	}
	return "\x1b[" + style + "m" + text + "\x1b[0m"
}

// chapter begins a part of the story.
func (n *narrator) chapter(format string, args ...any) {
	fmt.Fprintf(n.out, "\n%s  %s\n", n.paint(grey, fmt.Sprintf("%5.2fs", time.Since(n.begin).Seconds())), n.paint(bold, fmt.Sprintf(format, args...)))
}

// say prints a sentence.
func (n *narrator) say(format string, args ...any) {
	fmt.Fprintf(n.out, "        %s\n", fmt.Sprintf(format, args...))
}

// quote prints many lines.
func (n *narrator) quote(text string) {
	for line := range strings.Lines(text) {
		fmt.Fprintln(n.out, n.paint(grey, "        | "+strings.TrimRight(line, "\n")))
	}
}

// claim says what holds, and what shows it. What does not hold is counted.
func (n *narrator) claim(holds bool, proof, format string, args ...any) {
	n.claims++
	mark := n.paint(green, "proved")
	if !holds {
		n.failed++
		mark = n.paint(red, "FALSE ")
	}
	fmt.Fprintf(n.out, "%s  %s\n", mark, fmt.Sprintf(format, args...))
	fmt.Fprintln(n.out, n.paint(grey, "          "+strings.TrimSpace(proof)))
}
