// Package pouchfx has no code. Its test keeps the house in order: who may
// import whom, and where fx may be.
package pouchfx

import (
	"go/parser"
	"go/token"
	"io/fs"
	"os/exec"
	"path"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const module = "github.com/pouchfx/pouchfx/"

// rooms says which of our packages a package may import. The first pattern
// that matches a package holds; "x/..." is x and all below it.
var rooms = []struct {
	pkg     string
	imports []string
}{
	{"types", nil},
	{"networktypes", nil},
	{"plugins", []string{"types", "networktypes"}},
	{"plugins/plugintest/...", []string{"app/...", "modules/...", "plugins", "types", "networktypes"}}, // a kit with a whole daemon in it
	{"plugins/hookplugins", []string{"plugins", "types", "networktypes"}},
	{"plugins/...", []string{"plugins", "plugins/limit", "plugins/when", "types", "networktypes"}},
	{"examples/migrated/...", []string{"plugins/hookplugins", "types", "networktypes"}},
	{"examples/...", []string{"plugins", "types", "networktypes"}},
	{"modules/guard", nil},
	{"modules/filters", nil},
	{"modules/registry/patch", nil},
	{"modules/registry", []string{"modules/guard", "modules/registry/patch", "plugins", "types", "networktypes"}},
	{"modules/...", []string{"modules/...", "plugins", "types", "networktypes"}},
	{"app/...", []string{"app/...", "modules/...", "plugins", "types", "networktypes"}},
}

// doors are imported by those who compose a daemon alone.
var doors = []string{"modules/admin", "modules/api", "modules/cri"}

func TestImportsPointDown(t *testing.T) {
	for pkg, imports := range packages(t) {
		for _, imported := range imports {
			for _, door := range doors {
				if matches(imported, door+"/...") && matches(pkg, "modules/...") && !matches(pkg, door+"/...") {
					t.Errorf("%s imports %s: a door is for those outside", pkg, imported)
				}
			}
			if allowed, known := allowedFor(pkg); known && !matchesAny(imported, allowed) {
				t.Errorf("%s imports %s: it may import only %v of ours", pkg, imported, allowed)
			}
		}
	}
}

func allowedFor(pkg string) (allowed []string, known bool) {
	for _, room := range rooms {
		if matches(pkg, room.pkg) {
			return room.imports, true
		}
	}
	return nil, false
}

// packages returns our packages and which of ours each imports, without tests.
func packages(t *testing.T) map[string][]string {
	t.Helper()
	out, err := exec.Command("go", "list", "-f", `{{.ImportPath}} {{join .Imports " "}}`, "./...").Output()
	require.NoError(t, err)
	found := map[string][]string{}
	for line := range strings.Lines(string(out)) {
		words := strings.Fields(line)
		pkg, ours := strings.TrimPrefix(words[0], module), []string{}
		for _, imported := range words[1:] {
			if rest, ok := strings.CutPrefix(imported, module); ok {
				ours = append(ours, rest)
			}
		}
		found[pkg] = ours
	}
	require.Contains(t, found, "plugins")
	return found
}

func TestFxStaysWhereDaemonsAreComposed(t *testing.T) {
	err := filepath.WalkDir(".", func(file string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(file, ".go") || strings.HasSuffix(file, "_test.go") {
			return err
		}
		parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ImportsOnly)
		if err != nil {
			return err
		}
		for _, i := range parsed.Imports {
			imported, err := strconv.Unquote(i.Path.Value)
			if err != nil {
				return err
			}
			if usesFx := imported == "go.uber.org/dig" || matches(imported, "go.uber.org/fx/..."); usesFx && !mayUseFx(file) {
				t.Errorf("%s imports %s: that belongs into module.go, plugins/provide.go, app and cmd", file, imported)
			}
		}
		return nil
	})
	require.NoError(t, err)
}

func mayUseFx(file string) bool {
	dir := path.Dir(file)
	return path.Base(file) == "module.go" || file == "plugins/provide.go" ||
		matchesAny(dir, []string{"app/...", "cmd/...", "e2e/plugindaemon", "e2e/kubedaemon"}) // daemons of the tests
}

func matchesAny(name string, patterns []string) bool {
	for _, p := range patterns {
		if matches(name, p) {
			return true
		}
	}
	return false
}

func matches(name, pattern string) bool {
	if prefix, ok := strings.CutSuffix(pattern, "/..."); ok {
		return name == prefix || strings.HasPrefix(name, prefix+"/")
	}
	return name == pattern
}

func TestPatterns(t *testing.T) {
	assert.True(t, matches("a/b", "a/..."))
	assert.True(t, matches("a", "a/..."))
	assert.False(t, matches("ab", "a/..."))
	assert.False(t, matches("a/b", "a"))
}
