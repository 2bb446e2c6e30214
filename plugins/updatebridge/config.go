package updatebridge

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strconv"

	"github.com/pouchfx/pouchfx/plugins/limit"
	"github.com/pouchfx/pouchfx/plugins/when"
)

// Config is the section plugins.updatebridge of the configuration file.
type Config struct {
	// Rules are applied in their order; those that clamp come after the others.
	Rules []Rule `yaml:"rules"`
	// EnvFile is the file in the container that gets its variables.
	EnvFile EnvFile `yaml:"env-file"`
}

// Rule does one of four things to the body of an update: it takes a variable or
// label as a limit, renames a key, drops one, or bounds a limit.
type Rule struct {
	// When says for which containers the rule is.
	When *when.When `yaml:"when"`
	// Rule is what is read and set.
	limit.Rule `yaml:",inline"`
	// Key is what is renamed or dropped.
	Key string `yaml:"key"`
	// Rename is the key's new name.
	Rename string `yaml:"rename"`
	// Drop takes the key away.
	Drop bool `yaml:"drop"`
	// Clamp is a field that an update sets no higher than Most.
	Clamp limit.Field `yaml:"clamp"`
	Most  string      `yaml:"most"`
}

// Validate reports a rule that cannot be kept.
func (r Rule) Validate() error {
	takes := r.Env != "" || r.Label != "" || !r.Set.IsZero()
	clamps := !r.Clamp.IsZero() || r.Most != ""
	switch keys := r.Key != "" || r.Rename != "" || r.Drop; {
	case takes && !keys && !clamps:
		if err := r.Rule.Validate(); err != nil {
			return err
		}
		return updatable(r.Set)
	case keys && !takes && !clamps:
		if r.Key == "" || r.Drop == (r.Rename != "") {
			return errors.New("give key with rename or with drop")
		}
		return nil
	case clamps && !takes && !keys:
		_, err := r.most()
		return err
	}
	return errors.New("a rule does one thing: give env or label with set, key with rename or drop, or clamp with most")
}

// updatable reports a field that no update can change.
func updatable(f limit.Field) error {
	if f.Key() == "" {
		return fmt.Errorf("%s cannot be updated: it is of the container's create alone", f)
	}
	return nil
}

// most is the bound of a rule that clamps.
func (r *Rule) most() (int64, error) {
	if r.Clamp.IsZero() || r.Most == "" {
		return 0, errors.New("give clamp with most: a field and its highest value")
	}
	if err := updatable(r.Clamp); err != nil {
		return 0, err
	}
	text, err := r.Clamp.JSON(r.Most)
	if err != nil {
		return 0, fmt.Errorf("most %q: %w", r.Most, err)
	}
	n, err := strconv.ParseInt(string(text), 10, 64)
	if err != nil || n <= 0 {
		return 0, fmt.Errorf("most %q: %s cannot be bounded by it", r.Most, r.Clamp)
	}
	return n, nil
}

// EnvFile is a file in containers that gets their variables.
type EnvFile struct {
	// Path is absolute in the container; empty means no file.
	Path string `yaml:"path"`
	// Mode is the file's; its owner is root.
	Mode Mode `yaml:"mode"`
}

// Validate reports a path that is none.
func (f EnvFile) Validate() error {
	if f.Path != "" && (!path.IsAbs(f.Path) || path.Clean(f.Path) != f.Path || f.Path == "/") {
		return fmt.Errorf("path %q: write the absolute path of a file in the container", f.Path)
	}
	return nil
}

// Mode is a file's mode, in octal.
type Mode fs.FileMode

// UnmarshalText reads a mode.
func (m *Mode) UnmarshalText(text []byte) error {
	n, err := strconv.ParseUint(string(text), 8, 32)
	if err != nil || n > 0o777 {
		return fmt.Errorf("%q is no mode: write it in octal, such as 0600", text)
	}
	*m = Mode(n)
	return nil
}
