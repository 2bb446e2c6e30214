package app

import (
	"fmt"
	"regexp"
	"strings"
	"sync"

	"github.com/containerd/errdefs"
	"go.uber.org/fx"
	"go.uber.org/zap"

	"github.com/pouchfx/pouchfx/modules/config"
	"github.com/pouchfx/pouchfx/modules/lifecycle"
)

// Graph draws who provides what to whom in a target, as "dot" for Graphviz or
// "mermaid". No constructor runs.
func Graph(t Target, c *config.Config, format string) (string, error) {
	env := environment{config: c, log: zap.NewNop(), timeline: lifecycle.NewTimeline(), fatal: func(error) {}}
	var dot fx.DotGraph
	assembled := fx.New(silent, env.base(t.Plugins), t.engine(), fx.Populate(&dot))
	if err := assembled.Err(); err != nil {
		return "", t.explain(env, err)
	}
	drawing := t.nameStubs(string(dot))
	switch format {
	case "dot":
		return drawing, nil
	case "mermaid":
		return mermaid(drawing), nil
	}
	return "", errdefs.ErrInvalidArgument.WithMessage(fmt.Sprintf("format %q: use dot or mermaid", format))
}

// pattern compiles a regular expression when it is first needed: a daemon that
// starts as it should needs none, and every shim would compile them too.
func pattern(text string) func() *regexp.Regexp {
	return sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(text) })
}

// The lines of fx's drawing.
var (
	clusterLine     = pattern(`^\tsubgraph cluster_(\d+) \{$`)
	packageLine     = pattern(`^\t\tlabel = "(.*)";$`)
	constructorLine = pattern(`^\t\tconstructor_\d+ \[shape=plaintext label="(.*)"\];$`)
	resultLine      = pattern(`^\t\t("[^"]+") \[label=`)
	needLine        = pattern(`^\tconstructor_(\d+) -> ("[^"]+") \[`)
	memberLine      = pattern(`^\t("\[type=[^"]+") -> ("[^"]+");$`)
)

// nameStubs names the functions that fx knows as reflect.makeFuncStub: the
// providers of plugins, which it draws in the order in which they were given,
// and the suppliers of values.
func (t Target) nameStubs(dot string) string {
	lines := strings.Split(dot, "\n")
	list := t.Plugins
	for i := 2; i < len(lines); i++ {
		result := resultLine().FindStringSubmatch(lines[i])
		if result == nil || !strings.Contains(lines[i-1], `label="makeFuncStub"`) {
			continue
		}
		pkg, name := "value", strings.Trim(result[1], `"`)
		if strings.HasPrefix(name, "*plugins.Registration[") && len(list) > 0 {
			pkg, name, list = "plugin", list[0].Name, list[1:]
		}
		lines[i-2] = fmt.Sprintf("\t\tlabel = %q;", pkg)
		lines[i-1] = strings.Replace(lines[i-1], "makeFuncStub", name, 1)
	}
	return strings.Join(lines, "\n")
}

// mermaid turns fx's drawing into one of constructors alone: an arrow leads
// from each to those that provide what it needs.
func mermaid(dot string) string {
	var out strings.Builder
	out.WriteString("graph LR\n")
	providers := make(map[string][]string) // what is provided, or a value group → constructors
	var needs, members [][]string
	id, pkg := "", ""
	for _, line := range strings.Split(dot, "\n") {
		if m := clusterLine().FindStringSubmatch(line); m != nil {
			id, pkg = m[1], ""
		} else if m := packageLine().FindStringSubmatch(line); m != nil {
			pkg = m[1][strings.LastIndexByte(m[1], '/')+1:] + "."
		} else if m := constructorLine().FindStringSubmatch(line); m != nil {
			fmt.Fprintf(&out, "  c%s[\"%s%s\"]\n", id, pkg, m[1])
		} else if m := resultLine().FindStringSubmatch(line); m != nil {
			providers[m[1]] = append(providers[m[1]], id)
		} else if m := needLine().FindStringSubmatch(line); m != nil {
			needs = append(needs, m[1:])
		} else if m := memberLine().FindStringSubmatch(line); m != nil {
			members = append(members, m[1:])
		}
	}
	for _, m := range members {
		providers[m[0]] = append(providers[m[0]], providers[m[1]]...)
	}
	for _, n := range needs {
		for _, p := range providers[n[1]] {
			fmt.Fprintf(&out, "  c%s --> c%s\n", n[0], p)
		}
	}
	return out.String()
}
