package sidecars

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"time"
)

// Config is the section plugins.sidecars of the configuration file.
type Config struct {
	// Helpers are started in their order and stopped in reverse.
	Helpers []Helper `yaml:"helpers"`
}

// Helper is one process.
type Helper struct {
	// Name is unique, and what the log and errors call it.
	Name string `yaml:"name"`
	// Command is the program, by an absolute path, with its arguments. It must
	// not put itself into the background.
	Command []string `yaml:"command"`
	// Env is all of its environment: nothing of the daemon's is passed on.
	Env map[string]string `yaml:"env"`
	// Dir is its working directory; empty means /.
	Dir string `yaml:"dir"`
	// Ready says how it is known that it does its work.
	Ready Ready `yaml:"ready"`
	// Restart says when it is started again.
	Restart Restart `yaml:"restart"`
	// Grace is how long it may take to end after SIGTERM; 0 means 5s.
	Grace time.Duration `yaml:"grace"`
}

// Ready is a condition: one of Port, File and Probe, or none. Without one a
// helper is ready when it has lived for a moment.
type Ready struct {
	// Port is a TCP port of loopback on which it accepts connections.
	Port uint16 `yaml:"port"`
	// File is an absolute path that it makes or writes; a socket must accept
	// connections.
	File string `yaml:"file"`
	// Probe is a program that ends with status 0 when the helper is ready.
	Probe []string `yaml:"probe"`
	// Within is how long it may take; 0 means 10s.
	Within time.Duration `yaml:"within"`
}

// Restart bounds how soon a helper that ended is started again. The delay
// doubles from First to Most, and is First again for one that ran for longer
// than Most.
type Restart struct {
	// First is the delay after the first end; 0 means 100ms.
	First time.Duration `yaml:"first"`
	// Most is the longest delay; 0 means 30s.
	Most time.Duration `yaml:"most"`
}

// Validate reports helpers of one name.
func (c Config) Validate() error {
	seen := map[string]bool{}
	for _, h := range c.Helpers {
		if seen[h.Name] {
			return fmt.Errorf("two helpers have the name %q", h.Name)
		}
		seen[h.Name] = true
	}
	return nil
}

func (c Config) names() []string {
	names := make([]string, len(c.Helpers))
	for i, h := range c.Helpers {
		names[i] = h.Name
	}
	return names
}

// Validate reports a helper that cannot be started.
func (h Helper) Validate() error {
	switch {
	case h.Name == "" || strings.ContainsAny(h.Name, " \t\n\x00"):
		return fmt.Errorf("name %q: give the helper a name without spaces", h.Name)
	case h.Dir != "" && !filepath.IsAbs(h.Dir):
		return fmt.Errorf("dir %q: must be an absolute path", h.Dir)
	case h.Grace < 0:
		return fmt.Errorf("grace %v: must not be negative", h.Grace)
	}
	for name := range h.Env {
		if name == "" || strings.ContainsAny(name, "=\x00") || name == marker {
			return fmt.Errorf("env %q: the name of a variable is not empty, has no =, and is not %s", name, marker)
		}
	}
	return checkCommand("command", h.Command)
}

// Validate reports a condition that is none, or several.
func (r Ready) Validate() error {
	given := 0
	for _, is := range []bool{r.Port != 0, r.File != "", r.Probe != nil} {
		if is {
			given++
		}
	}
	switch {
	case given > 1:
		return errors.New("port, file and probe exclude each other: give one")
	case r.File != "" && !filepath.IsAbs(r.File):
		return fmt.Errorf("file %q: must be an absolute path", r.File)
	case r.Within < 0:
		return fmt.Errorf("within %v: must not be negative", r.Within)
	case r.Probe != nil:
		return checkCommand("probe", r.Probe)
	}
	return nil
}

// Validate reports delays that make no sense.
func (r Restart) Validate() error {
	if r.First < 0 || r.Most < 0 || r.Most != 0 && r.Most < r.First {
		return fmt.Errorf("first %v, most %v: the delay grows from the first to the longest", r.First, r.Most)
	}
	return nil
}

func checkCommand(key string, argv []string) error {
	switch {
	case len(argv) == 0 || !filepath.IsAbs(argv[0]):
		return fmt.Errorf("%s %q: begin it with the absolute path of a program", key, argv)
	case strings.Contains(strings.Join(argv, ""), "\x00"):
		return fmt.Errorf("%s %q: it has a zero byte", key, argv)
	}
	return nil
}
