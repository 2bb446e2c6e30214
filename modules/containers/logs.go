package containers

import (
	"context"
	"errors"
	"maps"
	"net/url"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/docker/go-units"
	"github.com/moby/moby/api/types/container"

	"github.com/pouchfx/pouchfx/modules/containers/logfile"
	"github.com/pouchfx/pouchfx/modules/containers/ocispec"
)

// The log drivers.
const (
	driverJSON = "json-file"
	driverNone = "none"
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

// logOptions reads a container's log configuration. What this daemon does not
// do is refused by name.
func logOptions(c container.LogConfig) (o logfile.Options, err error) {
	switch c.Type {
	case "", driverJSON:
	case driverNone:
		if len(c.Config) > 0 {
			return o, invalid("log driver none takes no options")
		}
		return o, nil
	default:
		return o, unsupported("log driver %q is not supported by this daemon: use json-file or none", c.Type)
	}
	for _, key := range slices.Sorted(maps.Keys(c.Config)) {
		value := c.Config[key]
		switch key {
		case "max-size":
			if value == "-1" {
				continue
			}
			if o.MaxSize, err = units.RAMInBytes(value); err != nil || o.MaxSize <= 0 {
				return o, invalid("invalid value for max-size: %q: use a size such as 10m", value)
			}
		case "max-file":
			if o.MaxFiles, err = strconv.Atoi(value); err != nil || o.MaxFiles < 1 {
				return o, invalid("max-file cannot be less than 1, got %q", value)
			}
		case "labels", "env": // see logAttrs
		case "mode":
			if value != string(container.LogModeBlocking) {
				return o, unsupported("log option mode=%s is not supported by this daemon: use blocking", value)
			}
		case "compress":
			if on, err := strconv.ParseBool(value); err != nil || on {
				return o, unsupported("log option compress=%s is not supported by this daemon", value)
			}
		default:
			return o, unsupported("log option %q of driver json-file is not supported by this daemon: use max-size, max-file, labels or env", key)
		}
	}
	if o.MaxFiles > 1 && o.MaxSize == 0 {
		return o, invalid("max-file requires max-size to be set")
	}
	return o, nil
}

// newLog returns the log of a container, nil with a driver that keeps none.
func (s *Service) newLog(id string, c container.LogConfig) *logfile.Log {
	o, err := logOptions(c)
	if err != nil || c.Type == driverNone {
		return nil // an error was told at create
	}
	return logfile.New(filepath.Join(s.dir(id), id+"-json.log"), o)
}

// logAttrs are the labels and variables that the log's options name.
func logAttrs(r *record) map[string]string {
	attrs := map[string]string{}
	for key := range strings.SplitSeq(r.HostConfig.LogConfig.Config["labels"], ",") {
		if value, ok := r.Config.Labels[key]; ok {
			attrs[key] = value
		}
	}
	env := ocispec.MergeEnv(nil, r.Config.Env)
	for key := range strings.SplitSeq(r.HostConfig.LogConfig.Config["env"], ",") {
		for _, e := range env {
			if name, value, _ := strings.Cut(e, "="); name == key && key != "" {
				attrs[key] = value
			}
		}
	}
	if len(attrs) == 0 {
		return nil
	}
	return attrs
}
