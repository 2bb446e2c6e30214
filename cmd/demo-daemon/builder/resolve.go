package builder

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// plugin is one that was asked for.
type plugin struct {
	asked   string // as the request has it
	pkg     string // its import path
	module  string // of a folder
	folder  string // the module's; empty for one from the proxy
	version string
}

// String names the plugin in messages.
func (p *plugin) String() string { return fmt.Sprintf("plugin %s", p.asked) }

// noVersion is a version for a module that comes from a folder.
func noVersion(module string) string {
	major := "v0"
	if found := regexp.MustCompile(`[./](v[0-9]+)$`).FindStringSubmatch(module); found != nil {
		major = found[1]
	}
	return major + ".0.0-00010101000000-000000000000"
}

// resolve writes go.mod and go.sum: which versions the daemon is made of.
func (b *build) resolve(ctx context.Context) error {
	replacements, err := b.replacements()
	if err != nil {
		return err
	}
	version := b.Version
	switch {
	case b.replaced:
		version = noVersion(Module)
	case version == "":
		return fmt.Errorf("this demo-daemon is a development build, of which no version is published: say where its source is, --replace %s=/path/to/pouchfx", Module)
	}
	edit := []string{"mod", "edit", "-module=daemon", "-go=" + b.toolchain.language(), "-require=" + Module + "@" + version}
	for _, r := range replacements {
		edit = append(edit, "-replace="+r)
	}
	get := []string{"get"}
	for _, asked := range b.Plugins {
		p, err := b.toolchain.plugin(ctx, asked)
		if err != nil {
			return err
		}
		b.plugins = append(b.plugins, p)
		if p.folder == "" {
			get = append(get, p.pkg+"@"+p.version)
		} else {
			edit = append(edit, "-require="+p.module+"@"+noVersion(p.module), "-replace="+p.module+"="+p.folder)
		}
	}
	if err := os.WriteFile(filepath.Join(b.dir, "go.mod"), nil, 0o600); err != nil {
		return err
	}
	if _, err := b.toolchain.run(ctx, b.dir, edit...); err != nil {
		return fmt.Errorf("the replacements are not right: %w", err)
	}
	if err := b.readBase(ctx, version); err != nil {
		return err
	}
	if len(get) > 1 {
		if _, err := b.toolchain.run(ctx, b.dir, get...); err != nil {
			return fmt.Errorf("cannot get the plugins: %w", err)
		}
	}
	return b.checkPinned(ctx, version)
}

// replacements returns those of the request with absolute paths, and notes
// whether pouchfx is among them.
func (b *build) replacements() ([]string, error) {
	var all []string
	for _, r := range b.Replace {
		from, to, ok := strings.Cut(r, "=")
		if !ok || from == "" || to == "" {
			return nil, fmt.Errorf("--replace %s: write old=new, such as %s=/path/to/pouchfx", r, Module)
		}
		if isFolder(to) {
			folder, err := filepath.Abs(to)
			if err != nil {
				return nil, err
			}
			if _, err := os.Stat(filepath.Join(folder, "go.mod")); err != nil {
				return nil, fmt.Errorf("--replace %s: the folder has no Go module: %w", r, err)
			}
			to = folder
		}
		path, _, _ := strings.Cut(from, "@")
		b.replaced = b.replaced || path == Module
		all = append(all, from+"="+to)
	}
	return all, nil
}

// isFolder tells folders from module paths as go does.
func isFolder(name string) bool {
	return strings.HasPrefix(name, "/") || name == "." || name == ".." || strings.HasPrefix(name, "./") || strings.HasPrefix(name, "../")
}

// plugin finds out what is meant by an argument.
func (t *toolchain) plugin(ctx context.Context, asked string) (*plugin, error) {
	p := &plugin{asked: asked}
	if !isFolder(asked) {
		var ok bool
		if p.pkg, p.version, ok = strings.Cut(asked, "@"); !ok || p.version == "" {
			return nil, fmt.Errorf("%v: say which version, such as %s@v1.2.3 or @latest; a folder begins with ./ or /", p, p.pkg)
		}
		if !regexp.MustCompile(`^[\w.~][\w.~/+-]*@[\w.+][\w.+/-]*$`).MatchString(asked) {
			return nil, fmt.Errorf("%v: this is no import path and version, such as example.com/acme/quota@v1.2.3", p)
		}
		return p, nil
	}
	folder, err := filepath.Abs(asked)
	if err != nil {
		return nil, err
	}
	if info, err := os.Stat(folder); err != nil || !info.IsDir() {
		return nil, fmt.Errorf("%v: there is no such folder", p)
	}
	out, err := t.run(ctx, folder, "list", "-find", "-json=ImportPath,Name,Module", ".")
	if err != nil {
		return nil, fmt.Errorf("%v: the folder has no Go package of a module: %w", p, err)
	}
	var listed struct {
		ImportPath, Name string
		Module           *struct{ Path, Dir string }
	}
	if err := json.Unmarshal(out, &listed); err != nil {
		return nil, fmt.Errorf("go list: %w", err)
	}
	switch {
	case listed.Module == nil:
		return nil, fmt.Errorf("%v: the folder has no Go module: make one with `go mod init`", p)
	case listed.Module.Path == Module:
		return nil, fmt.Errorf("%v: the folder is part of pouchfx: its plugins are listed in the targets", p)
	case listed.Name == "main":
		return nil, fmt.Errorf("%v: the folder has a program: a plugin is a package with a variable Module", p)
	}
	p.pkg, p.module, p.folder = listed.ImportPath, listed.Module.Path, listed.Module.Dir
	return p, nil
}

// readBase reads what pouchfx itself is made of, before any plugin is there.
func (b *build) readBase(ctx context.Context, version string) error {
	var listed struct {
		GoMod string
		Error *struct{ Err string }
	}
	out, err := b.toolchain.run(ctx, b.dir, "list", "-m", "-json", Module)
	if err == nil {
		err = json.Unmarshal(out, &listed)
	}
	if err == nil && listed.Error != nil {
		err = errors.New(listed.Error.Err)
	}
	if err != nil {
		return fmt.Errorf("cannot get pouchfx %s: %w", version, err)
	}
	var base struct {
		Go      string
		Require []struct{ Path, Version string }
	}
	out, err = b.toolchain.run(ctx, b.dir, "mod", "edit", "-json", listed.GoMod)
	if err == nil {
		err = json.Unmarshal(out, &base)
	}
	if err != nil {
		return fmt.Errorf("cannot read the go.mod of pouchfx %s: %w", version, err)
	}
	b.base = make(map[string]string, len(base.Require))
	for _, m := range base.Require {
		b.base[m.Path] = m.Version
	}
	// The language and the defaults of the runtime are those that pouchfx was
	// tested with.
	_, err = b.toolchain.run(ctx, b.dir, "mod", "edit", "-go="+base.Go)
	return err
}

// checkPinned refuses a plugin that needs another version of pouchfx.
func (b *build) checkPinned(ctx context.Context, version string) error {
	if b.replaced {
		return nil // whatever version is asked for, it is the replacement
	}
	// Of all, as go looks at what modules need of each other only then.
	out, err := b.toolchain.run(ctx, b.dir, "list", "-m", "-f", "{{if eq .Path \""+Module+"\"}}{{.Version}}{{end}}", "all")
	if err != nil {
		return fmt.Errorf("cannot tell the version of pouchfx: %w", err)
	}
	needed := strings.TrimSpace(string(out))
	if needed == version {
		return nil
	}
	out, err = b.toolchain.run(ctx, b.dir, "mod", "graph")
	if err != nil {
		return fmt.Errorf("a plugin needs pouchfx %s, and cannot tell which: %w", needed, err)
	}
	who := "a plugin"
	if p, by := b.needs(string(out), Module+"@"+needed); p != nil {
		who = p.String()
		if len(by) > 0 {
			who += " (by way of " + strings.Join(by, ", ") + ")"
		}
	}
	return fmt.Errorf("%s needs pouchfx %s, and this demo-daemon is made of %s: take an older version of the plugin, or build with demo-daemon %s", who, needed, version, needed)
}

// belongs reports whether a plugin is of a module, "path@version" or "path".
func belongs(p *plugin, module string) bool {
	path, _, _ := strings.Cut(module, "@")
	return p.module == path || p.folder == "" && (p.pkg == path || strings.HasPrefix(p.pkg, path+"/"))
}

// needs returns the plugin that needs target, "path@version", in a graph of
// modules as `go mod graph` prints it, and the modules between the two.
func (b *build) needs(graph, target string) (*plugin, []string) {
	requiredBy := map[string][]string{}
	for line := range strings.Lines(graph) {
		if by, required, ok := strings.Cut(strings.TrimSpace(line), " "); ok {
			requiredBy[required] = append(requiredBy[required], by)
		}
	}
	type step struct {
		module string
		by     []string
	}
	seen := map[string]bool{}
	for queue := []step{{module: target}}; len(queue) > 0; queue = queue[1:] {
		s := queue[0]
		for _, p := range b.plugins {
			if belongs(p, s.module) {
				return p, s.by[min(1, len(s.by)):]
			}
		}
		for _, by := range requiredBy[s.module] {
			if !seen[by] {
				seen[by] = true
				queue = append(queue, step{by, slices.Insert(slices.Clone(s.by), 0, by)})
			}
		}
	}
	return nil, nil
}

// moved returns which modules of pouchfx have other versions than it was
// tested with, "path v1 → v2".
func (b *build) moved(linked map[string]string) (moved []string) {
	for path, version := range linked {
		if tested := b.base[path]; tested != "" && tested != version {
			moved = append(moved, fmt.Sprintf("%s %s, not %s", path, version, tested))
		}
	}
	slices.Sort(moved)
	return moved
}
