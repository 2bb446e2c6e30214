package containers

import (
	"maps"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/docker/go-units"
	"github.com/moby/moby/api/types/container"

	"github.com/pouchfx/pouchfx/modules/containers/logfile"
	"github.com/pouchfx/pouchfx/modules/containers/ocispec"
)

// The log drivers. local keeps a bounded log in less room; both keep the same
// lines.
const (
	driverJSON  = "json-file"
	driverLocal = "local"
	driverNone  = "none"
)

// LogDrivers are the names of those that keep something, for docker info.
func LogDrivers() []string { return []string{driverJSON, driverLocal} }

// maxLogFiles bounds max-file: each rotation renames them all.
const maxLogFiles = 1000

// logOptions reads a container's log configuration. What this daemon does not
// do is refused by name.
func logOptions(c container.LogConfig) (o logfile.Options, err error) {
	switch c.Type {
	case "", driverJSON:
	case driverLocal: // dockerd's defaults
		o = logfile.Options{MaxSize: 20 << 20, MaxFiles: 5, Compress: true}
	case driverNone:
		if len(c.Config) > 0 {
			return o, invalid("log driver none takes no options")
		}
		return o, nil
	default:
		return o, unsupported("log driver %q is not supported by this daemon: use json-file, local or none", c.Type)
	}
	for _, key := range slices.Sorted(maps.Keys(c.Config)) {
		if err := logOption(&o, c.Type, key, c.Config[key]); err != nil {
			return o, err
		}
	}
	switch {
	case o.MaxFiles > 1 && o.MaxSize == 0:
		return o, invalid("max-file requires max-size to be set")
	case o.Compress && c.Type != driverLocal && (o.MaxSize == 0 || o.MaxFiles < 2):
		return o, invalid("compress cannot be true when max-file is less than 2 or max-size is not set")
	}
	return o, nil
}

// logOption reads one option of a driver.
func logOption(o *logfile.Options, driver, key, value string) (err error) {
	switch key {
	case "max-size":
		if value == "-1" {
			o.MaxSize = 0
			return nil
		}
		if o.MaxSize, err = units.RAMInBytes(value); err != nil || o.MaxSize <= 0 {
			return invalid("invalid value for max-size: %q: use a size such as 10m", value)
		}
		return nil
	case "max-file":
		if o.MaxFiles, err = strconv.Atoi(value); err != nil || o.MaxFiles < 1 {
			return invalid("max-file cannot be less than 1, got %q", value)
		}
		if o.MaxFiles > maxLogFiles {
			return invalid("max-file cannot be more than %d, got %q", maxLogFiles, value)
		}
		return nil
	case "compress":
		if o.Compress, err = strconv.ParseBool(value); err != nil {
			return invalid("invalid value for compress: %q: use true or false", value)
		}
		return nil
	case "mode":
		if value != string(container.LogModeBlocking) {
			return unsupported("log option mode=%s is not supported by this daemon: use blocking", value)
		}
		return nil
	}
	if driver == driverLocal {
		return invalid("unknown log opt %q for local log driver", key)
	}
	switch key { // see logAttrs
	case "labels", "env":
	case "labels-regex", "env-regex":
		if _, err := regexp.Compile(value); err != nil {
			return invalid("invalid value for %s: %v", key, err)
		}
	case "tag":
		_, err = logTag(value, func(string) string { return "" })
		return err
	default:
		return invalid("unknown log opt %q for json-file log driver", key)
	}
	return nil
}

// newLog returns the log of a container, nil with a driver that keeps none.
func (s *Service) newLog(id string, c container.LogConfig) *logfile.Log {
	o, err := logOptions(c)
	if err != nil || c.Type == driverNone {
		return nil // an error was told at create
	}
	name := id + "-json.log"
	if c.Type == driverLocal {
		name = "local.log"
	}
	return logfile.New(filepath.Join(s.dir(id), name), o)
}

// logAttrs are the labels, variables and the tag that the log's options ask
// for.
func logAttrs(id string, r *record) map[string]string {
	config := r.HostConfig.LogConfig.Config
	attrs := map[string]string{}
	wanted := func(names, pattern string) func(string) bool {
		list := strings.Split(config[names], ",")
		match, err := regexp.Compile(config[pattern])
		return func(key string) bool {
			return key != "" && (slices.Contains(list, key) || config[pattern] != "" && err == nil && match.MatchString(key))
		}
	}
	label := wanted("labels", "labels-regex")
	for key, value := range r.Config.Labels {
		if label(key) {
			attrs[key] = value
		}
	}
	variable := wanted("env", "env-regex")
	for _, e := range ocispec.MergeEnv(nil, r.Config.Env) {
		if key, value, _ := strings.Cut(e, "="); variable(key) {
			attrs[key] = value
		}
	}
	if tag, err := logTag(config["tag"], tagFields(id, r)); err == nil && tag != "" {
		attrs["tag"] = tag
	}
	if len(attrs) == 0 {
		return nil
	}
	return attrs
}

// tagFields gives the values of the fields of a log's tag.
func tagFields(id string, r *record) func(string) string {
	image := strings.TrimPrefix(r.ImageID.String(), "sha256:")
	return func(field string) string {
		switch field {
		case "ID":
			return id[:min(12, len(id))]
		case "FullID":
			return id
		case "Name":
			return r.Name
		case "ImageID":
			return image[:min(12, len(image))]
		case "ImageFullID":
			return r.ImageID.String()
		case "ImageName":
			return r.Image
		case "Hostname":
			return r.Config.Hostname
		case "DaemonName":
			return "pouchfx"
		case "Command":
			return commandLine(r)
		}
		return ""
	}
}

// logTag fills the fields of a tag, such as {{.Name}}/{{.ID}}. Anything else of
// Go's templates is refused.
func logTag(template string, value func(field string) string) (string, error) {
	var out strings.Builder
	for rest := template; ; {
		before, after, found := strings.Cut(rest, "{{")
		out.WriteString(before)
		if !found {
			return out.String(), nil
		}
		field, after, closed := strings.Cut(after, "}}")
		name, dotted := strings.CutPrefix(strings.TrimSpace(field), ".")
		known := []string{"ID", "FullID", "Name", "ImageID", "ImageFullID", "ImageName", "Hostname", "DaemonName", "Command"}
		if !closed || !dotted || !slices.Contains(known, name) {
			return "", unsupported("log option tag=%s is not supported by this daemon: use the fields %s", template, "{{."+strings.Join(known, "}}, {{.")+"}}")
		}
		out.WriteString(value(name))
		rest = after
	}
}
