package limit

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/containerd/errdefs"
)

// Rule says which variable or label becomes which field. The rules of plugins
// begin with it.
type Rule struct {
	// Env is the name of a variable.
	Env string `yaml:"env"`
	// Label is the key of a label; it is given instead of Env.
	Label string `yaml:"label"`
	// Set is the field.
	Set Field `yaml:"set"`
	// Override lets the value replace what the client asked for; without it
	// that stays.
	Override bool `yaml:"override"`
	// Remove takes the variable or label away.
	Remove bool `yaml:"remove"`
}

// Validate reports a rule that cannot be kept.
func (r Rule) Validate() error {
	switch {
	case (r.Env == "") == (r.Label == ""):
		return errors.New("give one of the keys env and label: where the value comes from")
	case strings.ContainsAny(r.Env, "=\x00"):
		return fmt.Errorf("env %q: the name of a variable has no =", r.Env)
	case r.Set.IsZero():
		return errors.New("the key set is missing: give the field, such as memory")
	}
	return nil
}

// most bounds how much of a value an error quotes, in bytes.
const most = 64

// Refuse is the error that tells a client what is wrong with a value, an
// errdefs.ErrInvalidArgument.
func (r Rule) Refuse(value string, err error) error {
	where := r.Env
	if where == "" {
		where = "label " + r.Label
	}
	if len(value) > most {
		value = value[:most] + "…"
	}
	return errdefs.ErrInvalidArgument.WithMessage(fmt.Sprintf("%s %q: %s: %v", where, value, r.Set, err))
}

// Last is the value of a name in a list of NAME=VALUE. The last counts, as in
// the process.
func Last(list []string, name string) (value string, ok bool) {
	for _, entry := range slices.Backward(list) {
		if n, v, is := strings.Cut(entry, "="); is && n == name {
			return v, true
		}
	}
	return "", false
}

// Without is a list of NAME=VALUE without those names.
func Without(list, names []string) []string {
	if len(names) == 0 {
		return list
	}
	return slices.DeleteFunc(list, func(entry string) bool {
		name, _, is := strings.Cut(entry, "=")
		return is && slices.Contains(names, name)
	})
}
