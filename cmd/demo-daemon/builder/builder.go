// Package builder makes a daemon with other people's plugins. It writes a main
// function that a user could have written, lets the go command find the modules
// and compile, and sees to what go leaves open: that no plugin moves the version
// of pouchfx, that the same request makes the same bytes, that the result
// carries the programs which this binary carries, and that a build that fails
// leaves nothing.
package builder

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Module is the Go module that daemons are made of.
const Module = "github.com/pouchfx/pouchfx"

// Targets are the names of the build targets, each of which is a build tag.
func Targets() []string { return []string{"default", "minimal", "kube"} }

// Request says which daemon is wanted.
type Request struct {
	// Target is one of Targets.
	Target string
	// Plugins are packages, each with a variable Module of the type
	// *plugins.Provided: "example.com/acme/quota@v1.2.3", or a folder, which
	// begins with a dot or a slash.
	Plugins []string
	// Replace are modules that come from elsewhere, "old=new" as in a go.mod.
	Replace []string
	// Output is the file to be made.
	Output string
	// Version is that of pouchfx which the daemon is to be made of; empty when
	// only Replace can tell.
	Version string
	// Programs are what the daemon is to carry.
	Programs []Program
	// Progress gets a line for each step.
	Progress io.Writer
}

// Build makes the daemon and tells what it is. When it fails, the file that
// was there before is still there.
func Build(ctx context.Context, r Request) (*Report, error) {
	if !slices.Contains(Targets(), r.Target) {
		return nil, fmt.Errorf("unknown target %q: there are %s", r.Target, strings.Join(Targets(), ", "))
	}
	output, err := outputFile(r.Output)
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "pouchfx-build-")
	if err != nil {
		return nil, fmt.Errorf("make a folder to build in: %w", err)
	}
	defer os.RemoveAll(dir)
	toolchain, err := findGo(ctx, dir)
	if err != nil {
		return nil, err
	}
	b := &build{Request: r, dir: dir, toolchain: toolchain}

	fmt.Fprintln(r.Progress, "getting modules")
	if err := b.resolve(ctx); err != nil {
		return nil, err
	}
	if err := b.writeMain(); err != nil {
		return nil, err
	}
	fmt.Fprintln(r.Progress, "compiling")
	made, err := os.CreateTemp(filepath.Dir(output), "."+filepath.Base(output)+".")
	if err != nil {
		return nil, fmt.Errorf("make %s: %w", output, err)
	}
	made.Close()
	defer os.Remove(made.Name()) // it is not there any more when all went well
	if err := b.compile(ctx, made.Name()); err != nil {
		return nil, err
	}
	report, err := b.report(made.Name())
	if err != nil {
		return nil, err
	}
	if err := os.Rename(made.Name(), output); err != nil {
		return nil, err
	}
	return report, nil
}

// build is one build.
type build struct {
	Request
	toolchain *toolchain
	dir       string // of the main function's module
	plugins   []*plugin
	replaced  bool              // pouchfx itself comes from elsewhere
	base      map[string]string // the versions of modules that pouchfx was tested with
}

// outputFile returns the absolute path of a file that can be made.
func outputFile(name string) (string, error) {
	if name == "" {
		return "", errors.New("no output file: name it with --output")
	}
	name, err := filepath.Abs(name)
	if err != nil {
		return "", err
	}
	if info, err := os.Lstat(name); err == nil && !info.Mode().IsRegular() {
		return "", fmt.Errorf("%s is there and is no file: name another with --output", name)
	}
	if info, err := os.Stat(filepath.Dir(name)); err != nil || !info.IsDir() {
		return "", fmt.Errorf("the folder %s, for the output, is not there: make it first", filepath.Dir(name))
	}
	return name, nil
}
