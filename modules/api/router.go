package api

import (
	"fmt"
	"net/http"
	"strings"

	"github.com/pouchfx/pouchfx/types"
)

// router finds the route of a request. The patterns are those of
// types.HandlerSpec: net/http's ServeMux cannot have a variable of several
// segments in the middle, as in /images/{name:.*}/json.
//
// Among the routes of one method a literal segment wins over a variable, and
// a variable over {name:.*}, from left to right; where that leads nowhere the
// next one is tried. So a route that a plugin adds beside a greedy one is
// reached, whatever the order of the list.
type router struct {
	methods map[string]*node
}

// node is what follows one segment of the patterns.
type node struct {
	literals map[string]*node
	variable *node // {name}: one segment
	rest     *node // {name:.*}: one segment or more
	route    *route
}

type route struct {
	spec      *types.HandlerSpec
	variables []string // in the order of the pattern
}

func newRouter(specs []*types.HandlerSpec) (*router, error) {
	r := &router{methods: make(map[string]*node)}
	for _, spec := range specs {
		if err := r.add(spec); err != nil {
			return nil, fmt.Errorf("route %s %s: %w", spec.Method, spec.Path, err)
		}
	}
	return r, nil
}

func (r *router) add(spec *types.HandlerSpec) error {
	if spec.HandlerFunc == nil {
		return fmt.Errorf("it has no handler")
	}
	path, rooted := strings.CutPrefix(spec.Path, "/")
	if !rooted {
		return fmt.Errorf("the path must begin with /")
	}
	at := r.methods[spec.Method]
	if at == nil {
		at = &node{}
		r.methods[spec.Method] = at
	}
	var variables []string
	for segment := range strings.SplitSeq(path, "/") {
		name, isVariable := strings.CutPrefix(segment, "{")
		if !isVariable {
			at = at.literal(segment)
			continue
		}
		name, closed := strings.CutSuffix(name, "}")
		name, isRest := strings.CutSuffix(name, ":.*")
		if !closed || name == "" || strings.ContainsAny(name, "{}:") {
			return fmt.Errorf("segment %q: write {name} or {name:.*}", segment)
		}
		variables = append(variables, name)
		next := &at.variable
		if isRest {
			next = &at.rest
		}
		if *next == nil {
			*next = &node{}
		}
		at = *next
	}
	if at.route != nil {
		return fmt.Errorf("it is there already as %s", at.route.spec.Path)
	}
	at.route = &route{spec: spec, variables: variables}
	return nil
}

func (n *node) literal(segment string) *node {
	if n.literals == nil {
		n.literals = make(map[string]*node)
	}
	if n.literals[segment] == nil {
		n.literals[segment] = &node{}
	}
	return n.literals[segment]
}

// find returns the route for a request and sets its variables as the
// request's path values; nil when there is none.
func (r *router) find(req *http.Request, path string) *types.HandlerSpec {
	root := r.methods[req.Method]
	if root == nil || !strings.HasPrefix(path, "/") || strings.Count(path, "/") > maxSegments {
		return nil
	}
	found, values := root.match(strings.Split(path[1:], "/"), nil)
	if found == nil {
		return nil
	}
	for i, name := range found.variables {
		req.SetPathValue(name, values[i])
	}
	return found.spec
}

// maxSegments bounds the work of matching a hostile path.
const maxSegments = 64

func (n *node) match(segments, values []string) (*route, []string) {
	if len(segments) == 0 {
		return n.route, values
	}
	if next := n.literals[segments[0]]; next != nil {
		if found, values := next.match(segments[1:], values); found != nil {
			return found, values
		}
	}
	if n.variable != nil && segments[0] != "" {
		if found, values := n.variable.match(segments[1:], append(values, segments[0])); found != nil {
			return found, values
		}
	}
	if n.rest == nil || segments[0] == "" {
		return nil, nil
	}
	// What follows the variable comes before nothing following it.
	for taken := len(segments) - 1; taken > 0; taken-- {
		if found, values := n.rest.match(segments[taken:], append(values, strings.Join(segments[:taken], "/"))); found != nil {
			return found, values
		}
	}
	return n.rest.route, append(values, strings.Join(segments, "/"))
}
