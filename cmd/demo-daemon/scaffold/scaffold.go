// Package scaffold writes the Go module of a new plugin: code, tests, README.
// What it writes builds, passes its tests and does something small and real in
// each hook; it holds nothing that would have to be filled in first.
package scaffold

import (
	"bytes"
	"context"
	"embed"
	"errors"
	"fmt"
	"go/format"
	"go/token"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"text/template"
	"time"

	"golang.org/x/mod/modfile"
	"golang.org/x/mod/module"

	"github.com/pouchfx/pouchfx/plugins"
)

// Pouchfx is the module that plugins are made for.
const Pouchfx = "github.com/pouchfx/pouchfx"

// Request says which plugin is wanted.
type Request struct {
	// Name is the plugin's, and that of its section of the configuration.
	Name string
	// Kinds are what it changes.
	Kinds []plugins.Kind
	// Module is the path of the Go module; empty means example.com/plugins/NAME.
	Module string
	// Dir is the folder to make; empty means NAME.
	Dir string
	// Replace are modules that come from elsewhere, "old=new" as in a go.mod.
	Replace []string
	// Version is that of pouchfx; empty when only Replace, or go mod tidy, can
	// tell.
	Version string
	// Tidy has the go command choose the versions of all modules.
	Tidy bool
}

//go:embed templates
var templates embed.FS

// Write writes the module and returns its folder. All of it is there or
// nothing, and nothing that is there is replaced.
func Write(ctx context.Context, r Request) (dir string, err error) {
	p, err := newPlugin(r)
	if err != nil {
		return "", err
	}
	if r.Dir == "" {
		r.Dir = r.Name
	}
	if dir, err = filepath.Abs(r.Dir); err != nil {
		return "", err
	}
	if err := free(dir); err != nil {
		return "", err
	}
	files, err := p.files()
	if err != nil {
		return "", err
	}
	fresh, err := os.MkdirTemp(filepath.Dir(dir), "."+filepath.Base(dir)+"-")
	if err != nil {
		return "", fmt.Errorf("cannot make a folder beside %s: %w", dir, err)
	}
	defer os.RemoveAll(fresh) // it is not there any more when all went well
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(fresh, name), content, 0o644); err != nil {
			return "", err
		}
	}
	if r.Tidy {
		if err := tidy(ctx, fresh); err != nil {
			return "", err
		}
	}
	if err := os.Chmod(fresh, 0o755); err != nil {
		return "", err
	}
	if err := os.Rename(fresh, dir); err != nil { // which replaces nothing
		return "", taken(dir, err)
	}
	return r.Dir, nil
}

// tidy writes go.sum, and what else of go.mod the go command knows better.
func tidy(ctx context.Context, dir string) error {
	cmd := exec.CommandContext(ctx, "go", "mod", "tidy")
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GOWORK=off")
	cmd.WaitDelay = time.Second
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("nothing is written: go mod tidy finds no versions (see --replace, or do without it, --tidy=false): %w\n%s", err, bytes.TrimSpace(out))
	}
	return nil
}

// free reports a folder that cannot be made.
func free(dir string) error {
	if _, err := os.Lstat(dir); err == nil || !errors.Is(err, fs.ErrNotExist) {
		return taken(dir, err)
	}
	if _, err := os.Stat(filepath.Dir(dir)); err != nil {
		return fmt.Errorf("the folder %s, for the plugin's, is not there: make it first", filepath.Dir(dir))
	}
	return nil
}

func taken(dir string, err error) error {
	message := fmt.Sprintf("%s is there and stays as it is: choose another folder with --dir", dir)
	if err == nil {
		return errors.New(message)
	}
	return fmt.Errorf("%s: %w", message, err)
}

// plugin is what the templates know.
type plugin struct {
	Name    string
	Package string
	Module  string
	Kinds   []plugins.Kind
	pouchfx string // version
	replace []string
	// Replaces are those with the absolute paths of folders.
	Replaces []string
}

func newPlugin(r Request) (*plugin, error) {
	p := &plugin{Name: r.Name, Module: r.Module, pouchfx: r.Version, replace: r.Replace}
	if !regexp.MustCompile(`^[a-z][a-z0-9]*(-[a-z0-9]+)*$`).MatchString(p.Name) || len(p.Name) > 40 {
		return nil, fmt.Errorf("name %q: use up to 40 lower-case letters, digits and single dashes, beginning with a letter, as in disk-quota", p.Name)
	}
	p.Package = strings.ReplaceAll(p.Name, "-", "")
	if token.IsKeyword(p.Package) || slices.Contains([]string{"main", "plugins", "types", "plugintest", "networktypes", "context", "internal"}, p.Package) {
		return nil, fmt.Errorf("name %q: Go, or the plugin itself, has a package or a word of that name: choose another", p.Name)
	}
	if p.Module == "" {
		p.Module = "example.com/plugins/" + p.Name
	}
	if err := module.CheckPath(p.Module); err != nil {
		return nil, fmt.Errorf("module %q: %w", p.Module, err)
	}
	known := plugins.Kinds()
	for _, k := range r.Kinds {
		if !slices.Contains(known, k) {
			return nil, fmt.Errorf("unknown kind %q: there are %s", k, words(known))
		}
	}
	for _, k := range known { // in their order, each once
		if slices.Contains(r.Kinds, k) {
			p.Kinds = append(p.Kinds, k)
		}
	}
	if len(p.Kinds) == 0 {
		return nil, fmt.Errorf("no kinds: choose from %s", words(known))
	}
	return p, nil
}

func words(kinds []plugins.Kind) string {
	var list []string
	for _, k := range kinds {
		list = append(list, string(k))
	}
	return strings.Join(list, ", ")
}

// Is tells the templates whether the plugin is of one of the kinds.
func (p *plugin) Is(kinds ...plugins.Kind) bool {
	return slices.ContainsFunc(kinds, func(k plugins.Kind) bool { return slices.Contains(p.Kinds, k) })
}

// Variable is the name of a variable of the environment.
func (p *plugin) Variable() string {
	return strings.ToUpper(strings.ReplaceAll(p.Name, "-", "_")) + "_NOTE"
}

// files returns those of the module.
func (p *plugin) files() (map[string][]byte, error) {
	parsed, err := template.ParseFS(templates, "templates/*")
	if err != nil {
		return nil, err
	}
	files := map[string][]byte{}
	if files["go.mod"], err = p.gomod(); err != nil {
		return nil, err
	}
	for _, t := range parsed.Templates() {
		name := strings.TrimSuffix(t.Name(), ".tmpl")
		var text bytes.Buffer
		if err := t.Execute(&text, p); err != nil {
			return nil, err
		}
		files[name] = text.Bytes()
		if strings.HasSuffix(name, ".go") {
			if files[name], err = format.Source(text.Bytes()); err != nil {
				return nil, fmt.Errorf("%s: %w", name, err)
			}
		}
	}
	return files, nil
}

// gomod returns go.mod and settles Replaces.
func (p *plugin) gomod() ([]byte, error) {
	f := new(modfile.File)
	if err := f.AddModuleStmt(p.Module); err != nil {
		return nil, err
	}
	if err := f.AddGoStmt("1.26"); err != nil {
		return nil, err
	}
	version := p.pouchfx
	for _, r := range p.replace {
		before, after, ok := strings.Cut(r, "=")
		if !ok || before == "" || after == "" {
			return nil, fmt.Errorf("replace %q: write old=new, as in %s=../pouchfx", r, Pouchfx)
		}
		path, oldVersion, _ := strings.Cut(before, "@")
		target, newVersion, _ := strings.Cut(after, "@")
		if newVersion == "" && !modfile.IsDirectoryPath(target) {
			return nil, fmt.Errorf("replace %q: begin the path of a folder with / or ./, or give the version of a module", r)
		}
		if newVersion == "" {
			if _, err := os.Stat(filepath.Join(target, "go.mod")); err != nil {
				return nil, fmt.Errorf("replace %q: there is no Go module: %w", r, err)
			}
			absolute, err := filepath.Abs(target) // it is relative to where the command runs
			if err != nil {
				return nil, err
			}
			target = absolute
		}
		p.Replaces = append(p.Replaces, before+"="+strings.TrimSuffix(target+"@"+newVersion, "@"))
		if err := f.AddReplace(path, oldVersion, target, newVersion); err != nil {
			return nil, err
		}
		if path == Pouchfx && version == "" {
			version = "v0.0.0"
		}
	}
	if version != "" {
		if err := f.AddRequire(Pouchfx, version); err != nil {
			return nil, err
		}
	}
	f.Cleanup()
	return f.Format()
}
