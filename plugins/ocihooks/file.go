package ocihooks

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/pouchfx/pouchfx/plugins"
)

// file is a hook of a directory.
type file struct {
	path    string
	when    condition
	program plugins.HookProgram
}

// The stages of the runtime's specification and Podman's own: those in which
// the runtime hooks of this daemon run, once the container's namespaces exist
// and before its process, and those that it cannot carry.
var (
	carried = []string{"prestart", "createRuntime"}
	others  = []string{"createContainer", "startContainer", "poststart", "poststop", "precreate"}
)

// parse reads a file of the schema 1.0.0. Keys that it does not have are left
// alone, as Podman and CRI-O do. The hook is nil when all of its stages are to
// be ignored.
func parse(path string, text []byte, ignored []string) (*file, error) {
	var content struct {
		Version string     `json:"version"`
		Hook    specs.Hook `json:"hook"`
		When    struct {
			Always        *bool             `json:"always"`
			Annotations   map[string]string `json:"annotations"`
			Commands      []string          `json:"commands"`
			HasBindMounts *bool             `json:"hasBindMounts"`
		} `json:"when"`
		Stages []string `json:"stages"`
	}
	// The version first: what follows is not the same in others.
	var version struct {
		Version string `json:"version"`
	}
	if err := json.Unmarshal(text, &version); err != nil {
		return nil, malformed(text, err)
	}
	if version.Version != "1.0.0" {
		return nil, fmt.Errorf("version %q: only 1.0.0 is read", version.Version)
	}
	if err := json.Unmarshal(text, &content); err != nil {
		return nil, malformed(text, err)
	}
	f := &file{path: path, program: plugins.HookProgram{
		Name: path, Path: content.Hook.Path, Args: content.Hook.Args, Env: content.Hook.Env,
	}}
	const most = int(plugins.RuntimeHookLimit / time.Second)
	if timeout := content.Hook.Timeout; timeout != nil {
		if *timeout < 1 || *timeout > most {
			return nil, fmt.Errorf("hook: timeout %d: a runtime hook may take from 1 to %d seconds", *timeout, most)
		}
		f.program.Timeout = time.Duration(*timeout) * time.Second
	}
	if err := f.program.Validate(); err != nil {
		return nil, fmt.Errorf("hook: %w", err)
	}
	f.when = condition{always: content.When.Always, hasBindMounts: content.When.HasBindMounts}
	if err := f.when.compile(content.When.Annotations, content.When.Commands); err != nil {
		return nil, fmt.Errorf("when: %w", err)
	}
	runs, err := runs(content.Stages, ignored)
	if err != nil || !runs {
		return nil, err
	}
	return f, nil
}

// runs reports whether a hook of these stages is to run here.
func runs(of, ignored []string) (bool, error) {
	if len(of) == 0 {
		return false, errors.New("stages: there are none: name one, such as createRuntime")
	}
	run := false
	for _, stage := range of {
		switch {
		case slices.Contains(carried, stage):
			run = true // once, be it of both
		case !slices.Contains(others, stage):
			return false, fmt.Errorf("stages: %q is none", stage)
		case !slices.Contains(ignored, stage):
			return false, fmt.Errorf("stages: %q: this daemon runs hooks in %s: move the file away, or list %s in ignore-stages to go without",
				stage, strings.Join(carried, " and "), stage)
		}
	}
	return run, nil
}

// malformed says in which line a text is no JSON.
func malformed(text []byte, err error) error {
	var offset int64
	var syntax *json.SyntaxError
	var wrongType *json.UnmarshalTypeError
	switch {
	case errors.As(err, &syntax):
		offset = syntax.Offset
	case errors.As(err, &wrongType):
		offset = wrongType.Offset
		err = fmt.Errorf("%s: %s does not belong there", wrongType.Field, wrongType.Value)
	}
	line := 1 + bytes.Count(text[:min(int(offset), len(text))], []byte("\n"))
	return fmt.Errorf("line %d: %w", line, err)
}

// start is what conditions are held against.
type start struct {
	annotations map[string]string
	command     string
	bindMounts  bool
}

// condition holds when all that it gives does.
type condition struct {
	always, hasBindMounts *bool
	annotations           [][2]*regexp.Regexp // of a key, of its value
	commands              []*regexp.Regexp
}

func (c *condition) compile(annotations map[string]string, commands []string) error {
	if c.always == nil && c.hasBindMounts == nil && len(annotations) == 0 && len(commands) == 0 {
		return errors.New("it gives none of always, annotations, commands and hasBindMounts")
	}
	for key, value := range annotations {
		k, err := regexp.Compile(key)
		if err != nil {
			return fmt.Errorf("annotations: %w", err)
		}
		v, err := regexp.Compile(value)
		if err != nil {
			return fmt.Errorf("annotations: %w", err)
		}
		c.annotations = append(c.annotations, [2]*regexp.Regexp{k, v})
	}
	for _, pattern := range commands {
		re, err := regexp.Compile(pattern)
		if err != nil {
			return fmt.Errorf("commands: %w", err)
		}
		c.commands = append(c.commands, re)
	}
	return nil
}

// matches is Podman's: a condition that is false matches nothing.
func (c *condition) matches(s *start) bool {
	if c.always != nil && !*c.always {
		return false
	}
	if c.hasBindMounts != nil && (!*c.hasBindMounts || !s.bindMounts) {
		return false
	}
	for _, pair := range c.annotations {
		if !hasAnnotation(s.annotations, pair) {
			return false
		}
	}
	return len(c.commands) == 0 || slices.ContainsFunc(c.commands, func(re *regexp.Regexp) bool {
		return s.command != "" && re.MatchString(s.command)
	})
}

func hasAnnotation(annotations map[string]string, pair [2]*regexp.Regexp) bool {
	for key, value := range annotations {
		if pair[0].MatchString(key) && pair[1].MatchString(value) {
			return true
		}
	}
	return false
}
