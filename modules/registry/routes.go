package registry

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
	"sync"

	"github.com/pouchfx/pouchfx/types"
)

// pattern compiles a regular expression when it is first needed: most daemons
// have no routes of plugins, and every shim would compile them too.
func pattern(text string) func() *regexp.Regexp {
	return sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(text) })
}

var (
	methodPattern   = pattern(`^[A-Z]+$`)
	literalPattern  = pattern(`^[A-Za-z0-9._~!$&'()*+,;=:@-]+$`)
	variablePattern = pattern(`^\{([A-Za-z_][A-Za-z0-9_]*)(:\.\*)?\}$`)
	versionPattern  = pattern(`^v[0-9]+\.[0-9]+$`)
)

// CheckRoutes reports a route that cannot be served: no handler, a pattern
// that is not as types.HandlerSpec says, or a second handler for one method
// and path. Patterns that differ in the names of their variables only are the
// same path.
func CheckRoutes(specs []*types.HandlerSpec) error {
	known := make(map[string]*types.HandlerSpec, len(specs))
	for i, s := range specs {
		if s == nil {
			return fmt.Errorf("route %d of %d is nil", i, len(specs))
		}
		shape, err := shapeOf(s.Path)
		switch {
		case !methodPattern().MatchString(s.Method):
			err = fmt.Errorf("the method must be in capitals")
		case err == nil && s.HandlerFunc == nil:
			err = errors.New("it has no handler")
		case err == nil && known[s.Method+shape] != nil:
			err = fmt.Errorf("there is %s %s already: wrap or replace its HandlerFunc", s.Method, known[s.Method+shape].Path)
		}
		if err != nil {
			return fmt.Errorf("route %q %q: %w", s.Method, s.Path, err)
		}
		known[s.Method+shape] = s
	}
	return nil
}

// shapeOf returns a pattern without the names of its variables.
func shapeOf(path string) (string, error) {
	rest, rooted := strings.CutPrefix(path, "/")
	if !rooted {
		return "", errors.New("the path must begin with a slash")
	}
	if rest == "" {
		return path, nil
	}
	var shape strings.Builder
	names := make(map[string]bool)
	greedy := false
	for i, segment := range strings.Split(rest, "/") {
		variable := variablePattern().FindStringSubmatch(segment)
		switch {
		case i == 0 && versionPattern().MatchString(segment):
			return "", errors.New("leave out the version: every route is served with and without one")
		case variable == nil && !literalPattern().MatchString(segment):
			return "", fmt.Errorf("segment %q must be a literal, {name} or {name:.*}", segment)
		case variable == nil:
			shape.WriteString("/" + segment)
			continue
		case names[variable[1]]:
			return "", fmt.Errorf("variable %q occurs twice", variable[1])
		case variable[2] != "" && greedy:
			return "", errors.New("only one variable can be {name:.*}")
		}
		names[variable[1]] = true
		greedy = greedy || variable[2] != ""
		shape.WriteString("/{" + variable[2] + "}")
	}
	return shape.String(), nil
}
