package plugins

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"
)

// RuntimeHookLimit is how long a runtime hook may take: the runtime ends it
// after that, and the start fails.
const RuntimeHookLimit = time.Minute

// RuntimeHookRole is the first argument of this binary where the runtime
// starts it as a hook.
const RuntimeHookRole = "runtime-hook"

// RunProgram is the runtime hook of this binary that runs a HookProgram.
const RunProgram = "run"

// HookProgram is a runtime hook that says more than the result of PreStart has
// a place for. It is run by this binary, whose error, that of the start, names
// it.
type HookProgram struct {
	// Name is what the error calls it: who asked for it, and where.
	Name string
	// Path is the absolute path of the program.
	Path string
	// Args is its argv, with argv[0]; empty means the path alone.
	Args []string `json:",omitempty"`
	// Env is its environment, "K=V"; without a PATH it gets the usual one.
	Env []string `json:",omitempty"`
	// Timeout bounds it, at most RuntimeHookLimit; 0 means that.
	Timeout time.Duration `json:",omitempty"`
}

// Validate reports a program that cannot be run.
func (p HookProgram) Validate() error {
	switch {
	case p.Path == "":
		return errors.New("it has no path: give the absolute path of a program")
	case !filepath.IsAbs(p.Path):
		return fmt.Errorf("path %q: must be absolute", p.Path)
	case p.Timeout < 0 || p.Timeout > RuntimeHookLimit:
		return fmt.Errorf("timeout %v: a runtime hook may take up to %v", p.Timeout, RuntimeHookLimit)
	case len(p.Args) > 0 && p.Args[0] == "":
		return errors.New("args: the first is the program's own name, and must not be empty")
	}
	for _, e := range p.Env {
		if name, _, found := strings.Cut(e, "="); !found || name == "" {
			return fmt.Errorf("env %q: write NAME=value", e)
		}
	}
	for _, text := range append(append([]string{p.Path}, p.Args...), p.Env...) {
		if strings.ContainsRune(text, 0) {
			return fmt.Errorf("%q: must not hold a zero byte", text)
		}
	}
	return nil
}

// maxArgument is what Linux allows for one argument, less some room.
const maxArgument = 120 << 10

// executable is the path of this binary, which asking the kernel for is the
// most that a hook would cost.
var executable = sync.OnceValues(os.Executable)

// PreStartArgs returns the program as PreStart returns a runtime hook.
func (p HookProgram) PreStartArgs() ([]string, error) {
	self, err := executable()
	if err != nil {
		return nil, err
	}
	text, err := json.Marshal(p)
	if err == nil && len(text) > maxArgument {
		err = fmt.Errorf("%s: its arguments and environment are larger than %d KiB", p.Name, maxArgument>>10)
	}
	return []string{self, filepath.Base(self), RuntimeHookRole, RunProgram, string(text)}, err
}
