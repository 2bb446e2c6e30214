package sidecars

import (
	"bytes"
	"fmt"
	"strings"
	"sync"

	"go.uber.org/zap"
)

const (
	// longest is how much of a line is kept, in bytes.
	longest = 4 << 10
	// kept is how many lines an error repeats.
	kept = 5
)

// output writes what a process says to the log, line by line, and remembers
// the last ones.
type output struct {
	log *zap.Logger // nil for none

	mu   sync.Mutex
	line []byte
	cut  bool
	last []string
}

func newOutput(log *zap.Logger) *output { return &output{log: log} }

// Write takes what a process has written. It never fails.
func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for rest := p; len(rest) > 0; {
		part, after, ended := bytes.Cut(rest, []byte("\n"))
		room := longest - len(o.line)
		o.cut = o.cut || len(part) > room
		o.line = append(o.line, part[:min(len(part), room)]...)
		if ended {
			o.say()
		}
		rest = after
	}
	return len(p), nil
}

// flush ends the last line, which a process need not do.
func (o *output) flush() {
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.line) > 0 {
		o.say()
	}
}

func (o *output) say() {
	text := strings.ToValidUTF8(strings.TrimSuffix(string(o.line), "\r"), "\uFFFD")
	if o.cut {
		text += "…"
	}
	o.line, o.cut = o.line[:0], false
	if text == "" {
		return
	}
	if len(o.last) == kept {
		o.last = append(o.last[:0], o.last[1:]...)
	}
	o.last = append(o.last, text)
	if o.log != nil {
		o.log.Info("helper says", zap.String("line", text))
	}
}

// lastWords is the last lines as the end of an error, on one line.
func (o *output) lastWords() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.last) == 0 {
		return "; it said nothing"
	}
	return fmt.Sprintf("; it said %q", strings.Join(o.last, "\n"))
}
