package builder

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
)

// Program is one that the daemon carries: the content of a variable.
type Program struct {
	// Package is the import path below Module, Variable that of the package
	// which gets Content.
	Package, Variable, Content string
}

// writeMain writes the main function, and what brings the programs.
func (b *build) writeMain() error {
	var imports, modules strings.Builder
	for i, p := range b.plugins {
		fmt.Fprintf(&imports, "\tplugin%d %q\n", i, p.pkg)
		fmt.Fprintf(&modules, "\t\tplugin%d.Module,\n", i)
	}
	main := fmt.Sprintf(`package main

import (
	%q
%s)

func main() {
	daemon.Main(
%s	)
}
`, Module+"/cmd/demo-daemon/daemon", &imports, &modules)
	if err := os.WriteFile(filepath.Join(b.dir, "main.go"), []byte(main), 0o600); err != nil {
		return err
	}
	return b.writePrograms()
}

// writePrograms hands on the programs: they are not part of the Go module, and
// files beside those of a module that go has got are not for others to add.
func (b *build) writePrograms() error {
	if len(b.Programs) == 0 {
		return nil
	}
	var imports, variables, assignments strings.Builder
	packages := map[string]string{}
	for i, p := range b.Programs {
		if packages[p.Package] == "" {
			packages[p.Package] = fmt.Sprintf("assets%d", len(packages))
			fmt.Fprintf(&imports, "\t%s %q\n", packages[p.Package], Module+"/"+p.Package)
		}
		file := fmt.Sprintf("program%d", i)
		fmt.Fprintf(&variables, "//go:embed %s\nvar %s string\n\n", file, file)
		fmt.Fprintf(&assignments, "\t%s.%s = %s\n", packages[p.Package], p.Variable, file)
		if err := os.WriteFile(filepath.Join(b.dir, file), []byte(p.Content), 0o600); err != nil {
			return err
		}
	}
	text := fmt.Sprintf("package main\n\nimport (\n\t_ \"embed\"\n\n%s)\n\n%sfunc init() {\n%s}\n", &imports, &variables, &assignments)
	return os.WriteFile(filepath.Join(b.dir, "programs.go"), []byte(text), 0o600)
}

// tags leave out of the libraries what nobody here has a use for, as the
// Makefile does.
const tags = "no_rdt,grpcnotrace"

// compile makes the binary.
func (b *build) compile(ctx context.Context, out string) error {
	_, err := b.toolchain.run(ctx, b.dir, "build", "-trimpath", "-buildvcs=false", "-ldflags=-s -w -buildid=",
		"-tags="+b.Target+","+tags, "-o", out, ".")
	if err == nil {
		return os.Chmod(out, 0o755)
	}
	words, ok := isCompileError(err)
	if !ok {
		return err
	}
	if p := b.withoutModule(words); p != nil {
		return fmt.Errorf("%v exports no variable Module of the type *plugins.Provided: it needs one, `var Module = plugins.Provide(…)`: %w", p, err)
	}
	for _, p := range b.plugins {
		if strings.Contains(words, "# "+p.pkg+"\n") {
			return fmt.Errorf("%v does not compile with pouchfx: mend it, or take another version of it: %w", p, err)
		}
	}
	return fmt.Errorf("cannot compile the daemon: %w", err)
}

// withoutModule returns the plugin whose Module the compiler does not accept
// in what writeMain wrote.
func (b *build) withoutModule(words string) *plugin {
	found := regexp.MustCompile(`(?m)^\./main\.go:(\d+):`).FindStringSubmatch(words)
	if found == nil {
		return nil
	}
	line, err := strconv.Atoi(found[1])
	first := 9 + len(b.plugins) // the line of the first Module
	if err != nil || line < first || line >= first+len(b.plugins) {
		return nil
	}
	return b.plugins[line-first]
}
