package api

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/moby/moby/api/pkg/stdcopy"

	"github.com/pouchfx/pouchfx/modules/containers"
)

// logs sends what a container wrote, and with follow what it will write.
func (h *containerHandlers) logs(ctx context.Context, w http.ResponseWriter, r *http.Request) error {
	q := query(r)
	o := containers.LogsOptions{
		Stdout: q.flag("stdout"), Stderr: q.flag("stderr"), Follow: q.flag("follow"),
		Timestamps: q.flag("timestamps"), Details: q.flag("details"),
		Since: q.time("since"), Until: q.time("until"), Tail: -1,
	}
	if q.text("tail") != "all" {
		o.Tail = max(q.number("tail", -1), -1)
	}
	if q.err != nil {
		return q.err
	}
	if !o.Stdout && !o.Stderr {
		return badRequest("Bad parameters: you must choose at least one stream")
	}
	name := r.PathValue("name")
	tty, err := h.backend.TTY(ctx, name)
	if err != nil {
		return err
	}
	ctx, cancel := h.streams.context(ctx)
	defer cancel()

	out := &logStream{w: w, kind: mediaType(ctx, tty), follow: o.Follow}
	if !versionFrom(ctx).atLeast(42) {
		out.kind = ""
	}
	out.stdout, out.stderr = split(out, tty)
	if o.Follow {
		out.begin() // the client waits for it, and the first line may be long in coming
	}
	err = h.backend.Logs(ctx, name, o, out)
	switch {
	case err == nil:
		out.begin()
	case !out.begun:
		return err
	case ctx.Err() == nil:
		fmt.Fprintf(out.stderr, "Error grabbing logs: %v\n", err)
	}
	return nil
}

// logStream writes lines of a log to a client.
type logStream struct {
	w              http.ResponseWriter
	kind           string // media type; "" leaves it out, as old versions did
	follow, begun  bool
	stdout, stderr io.Writer
}

func (s *logStream) begin() {
	if s.begun {
		return
	}
	s.begun = true
	s.w.Header()["Content-Type"] = nil // not to be guessed
	if s.kind != "" {
		s.w.Header().Set("Content-Type", s.kind)
	}
	s.w.WriteHeader(http.StatusOK)
	if s.follow {
		_ = http.NewResponseController(s.w).Flush()
	}
}

func (s *logStream) Write(p []byte) (int, error) {
	s.begin()
	n, err := s.w.Write(p)
	if err == nil && s.follow {
		err = http.NewResponseController(s.w).Flush()
	}
	return n, err
}

// WriteLog writes one line, which is complete with its prefix and end.
func (s *logStream) WriteLog(stream byte, _ time.Time, line []byte, _ map[string]string) error {
	out := s.stdout
	if stdcopy.StdType(stream) == stdcopy.Stderr {
		out = s.stderr
	}
	_, err := out.Write(line)
	return err
}
