package explain

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"time"
	"unicode"

	"github.com/pouchfx/pouchfx/modules/registry"
)

// maxValue is how much of a value is shown, in characters.
const maxValue = 200

// Write tells people what plugins did: which of them, in which hook, changed
// which field from what to what.
func (e *Explanation) Write(w io.Writer, colour bool) error {
	t := &text{colour: colour}
	t.part("create", e.Create)
	t.part("start", e.Start)
	t.part("connect", e.Connect)
	t.part("update", e.Update)
	if e.Forgotten > 0 {
		t.line("%d of the changes were not kept: they were too many, or too large", e.Forgotten)
	}
	if t.Len() == 0 {
		t.line("no plugin changed it, or it was made by a version that did not keep that")
	}
	_, err := w.Write(t.Bytes())
	return err
}

// text is what is written, in colour or not.
type text struct {
	bytes.Buffer
	colour bool
}

const (
	bold   = "\x1b[1m"
	dim    = "\x1b[2m"
	red    = "\x1b[31m"
	green  = "\x1b[32m"
	yellow = "\x1b[33m"
	reset  = "\x1b[0m"
)

func (t *text) in(colour, s string) string {
	if !t.colour {
		return s
	}
	return colour + s + reset
}

func (t *text) line(format string, args ...any) { fmt.Fprintf(t, format+"\n", args...) }

func (t *text) part(name string, changes []registry.Change) {
	if len(changes) == 0 {
		return
	}
	t.line("%s %s", t.in(bold, name), t.in(dim, changes[0].At.Format(time.RFC3339)))
	for i := range changes {
		t.change(&changes[i])
	}
}

func (t *text) change(c *registry.Change) {
	hook := c.Hook
	if c.Subject != "" {
		hook += " of " + visible(c.Subject)
	}
	t.line("  %s %s %s", t.in(bold, visible(c.Plugin)), hook, t.in(dim, c.Duration.Round(time.Microsecond).String()))
	if c.Error != "" {
		t.line("    %s", t.in(red, "failed, what it changed was dropped: "+visible(c.Error)))
		return
	}
	if c.Omitted != "" {
		t.line("    %s", t.in(yellow, "not shown: "+visible(c.Omitted)))
		for _, f := range c.Fields {
			t.line("    %s", visible(f))
		}
	}
	t.patch(c.Patch)
	for _, h := range c.RuntimeHooks {
		t.line("    %s", t.in(green, fmt.Sprintf("+ runtime hook of priority %d: %s", h.Priority, visible(strings.Join(append([]string{h.Path}, h.Args...), " ")))))
	}
	for _, conflict := range c.Conflicts {
		t.line("    %s", t.in(yellow, fmt.Sprintf("conflict: %s was written by %s", visible(conflict.Field), visible(conflict.With))))
	}
	if c.Omitted == "" && len(c.Patch) == 0 && len(c.RuntimeHooks) == 0 {
		t.line("    %s", t.in(dim, "changed nothing"))
	}
}

// patch writes the operations of an RFC 6902 patch as "field: old → new".
func (t *text) patch(patch json.RawMessage) {
	if len(patch) == 0 {
		return
	}
	var operations []struct {
		Op    string
		Path  string
		Value json.RawMessage
	}
	if err := json.Unmarshal(patch, &operations); err != nil {
		t.line("    %s", visible(string(patch)))
		return
	}
	var old json.RawMessage
	for _, o := range operations {
		path := visible(o.Path)
		switch o.Op {
		case "test":
			old = o.Value
		case "add":
			t.line("    %s", t.in(green, "+ "+path+": "+visible(string(o.Value))))
		case "remove":
			t.line("    %s", t.in(red, "- "+path+": "+visible(string(old))))
		default:
			t.line("    %s: %s → %s", path, t.in(red, visible(string(old))), t.in(green, visible(string(o.Value))))
		}
	}
}

// visible shortens a text that comes from elsewhere, and shows what a terminal
// would obey.
func visible(s string) string {
	var b strings.Builder
	n := 0
	for _, r := range s {
		if n++; n > maxValue {
			fmt.Fprintf(&b, "… (%d bytes)", len(s))
			break
		}
		if unicode.IsPrint(r) {
			b.WriteRune(r)
		} else {
			fmt.Fprintf(&b, "\\u%04x", r)
		}
	}
	return b.String()
}
