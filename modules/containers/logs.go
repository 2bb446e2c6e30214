package containers

import (
	"context"
	"errors"
	"maps"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/pouchfx/pouchfx/modules/containers/logfile"
)

// logFormat is how a time stands before a line.
const logFormat = "2006-01-02T15:04:05.000000000Z07:00"

// LogsOptions say what of a log is wanted.
type LogsOptions struct {
	Stdout, Stderr bool
	// Follow waits for more until the container ends.
	Follow bool
	// Timestamps puts the time before each line, Details the attributes.
	Timestamps, Details bool
	// Since and Until bound the time; zero means no bound.
	Since, Until time.Time
	// Tail is how many of the last lines are wanted; -1 means all.
	Tail int
}

// LogSink takes the lines of a log, oldest first. line is complete as it goes
// to the client: with its newline, and with what Timestamps and Details put
// before it; t and attrs are what they were made from.
type LogSink interface {
	WriteLog(stream byte, t time.Time, line []byte, attrs map[string]string) error
}

// Logs reads what a container wrote.
func (s *Service) Logs(ctx context.Context, name string, o LogsOptions, out LogSink) error {
	c, err := s.index.get(name)
	if err != nil {
		return err
	}
	if !o.Stdout && !o.Stderr {
		return invalid("You must choose at least one stream")
	}
	if c.log == nil {
		return unsupported("configured logging driver does not support reading")
	}
	read := logfile.ReadOptions{Tail: o.Tail, Since: o.Since, Until: o.Until, Follow: o.Follow}
	if !o.Until.IsZero() && o.Follow { // the last line may come long after
		var cancel context.CancelFunc
		ctx, cancel = context.WithDeadline(ctx, o.Until)
		defer cancel()
	}
	err = c.log.Read(ctx, read, func(e logfile.Entry) error {
		if e.Stream == logfile.Stdout && !o.Stdout || e.Stream == logfile.Stderr && !o.Stderr {
			return nil
		}
		return out.WriteLog(byte(e.Stream), e.Time, o.line(e), e.Attrs)
	})
	if errors.Is(err, context.DeadlineExceeded) && !o.Until.IsZero() {
		return nil
	}
	return err
}

// line is what the client gets of an entry.
func (o LogsOptions) line(e logfile.Entry) []byte {
	if !o.Timestamps && !o.Details {
		return e.Line
	}
	var before []string
	if o.Timestamps {
		before = append(before, e.Time.UTC().Format(logFormat))
	}
	if o.Details {
		var pairs []string
		for _, k := range slices.Sorted(maps.Keys(e.Attrs)) {
			pairs = append(pairs, url.QueryEscape(k)+"="+url.QueryEscape(e.Attrs[k]))
		}
		before = append(before, strings.Join(pairs, ","))
	}
	return append([]byte(strings.Join(before, " ")+" "), e.Line...)
}

// TTY tells whether a container has a terminal: its output is one stream then.
func (s *Service) TTY(_ context.Context, name string) (bool, error) {
	c, err := s.index.get(name)
	if err != nil {
		return false, err
	}
	return c.record().Config.Tty, nil
}
