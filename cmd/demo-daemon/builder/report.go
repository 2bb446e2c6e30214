package builder

import (
	"crypto/sha256"
	"debug/buildinfo"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"runtime/debug"
	"strings"
	"text/tabwriter"
)

// Report tells what was built, as the binary itself records it.
type Report struct {
	Output  string   `json:"output"`
	Target  string   `json:"target"`
	Pouchfx Source   `json:"pouchfx"`
	Plugins []Source `json:"plugins"`
	// Moved are modules that plugins gave other versions than pouchfx was
	// tested with.
	Moved []string `json:"moved,omitempty"`
	// Carries is set when the programs are part of the binary.
	Carries bool   `json:"carries"`
	Go      string `json:"go"`
	Size    int64  `json:"size"`
	SHA256  string `json:"sha256"`
}

// Source is where a part of the daemon comes from.
type Source struct {
	// Package is the import path; Module its module.
	Package string `json:"package,omitempty"`
	Module  string `json:"module"`
	Version string `json:"version,omitempty"`
	// Sum is the checksum of go.sum; empty for a folder.
	Sum string `json:"sum,omitempty"`
	// Replaced is what is there in the module's place, a folder or another
	// module.
	Replaced string `json:"replaced,omitempty"`
}

func (b *build) report(file string) (*Report, error) {
	info, err := buildinfo.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("read what was built: %w", err)
	}
	r := &Report{Output: b.Output, Target: b.Target, Carries: len(b.Programs) > 0, Go: info.GoVersion}
	linked := map[string]string{}
	for _, m := range info.Deps {
		linked[m.Path] = m.Version
		if m.Path == Module {
			r.Pouchfx = source(m)
		}
	}
	for _, p := range b.plugins {
		s := Source{Package: p.pkg}
		for _, m := range info.Deps { // the longest path is the module
			if belongs(p, m.Path) && len(m.Path) > len(s.Module) {
				s = source(m)
				s.Package = p.pkg
			}
		}
		r.Plugins = append(r.Plugins, s)
	}
	r.Moved = b.moved(linked)
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	sum := sha256.New()
	if r.Size, err = io.Copy(sum, f); err != nil {
		return nil, err
	}
	r.SHA256 = hex.EncodeToString(sum.Sum(nil))
	return r, nil
}

func source(m *debug.Module) Source {
	s := Source{Module: m.Path, Version: m.Version, Sum: m.Sum}
	if m.Replace != nil {
		s.Replaced, s.Sum = m.Replace.Path, m.Replace.Sum
		s.Version = strings.TrimSuffix(m.Replace.Version, "(devel)")
	}
	return s
}

// String is the source in one line.
func (s Source) String() string {
	words := []string{s.Module}
	if s.Package != "" {
		words[0] = s.Package
	}
	if s.Replaced != "" {
		words = append(words, "from", s.Replaced)
	}
	for _, word := range []string{s.Version, s.Sum} {
		if word != "" {
			words = append(words, word)
		}
	}
	return strings.Join(words, " ")
}

// Write prints the report for people.
func (r *Report) Write(w io.Writer) error {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintf(table, "built\t%s\n", r.Output)
	fmt.Fprintf(table, "target\t%s\n", r.Target)
	fmt.Fprintf(table, "pouchfx\t%v\n", r.Pouchfx)
	for _, p := range r.Plugins {
		fmt.Fprintf(table, "plugin\t%v\n", p)
	}
	for _, m := range r.Moved {
		fmt.Fprintf(table, "moved\t%s\n", m)
	}
	carries := "no programs: runc and the CNI programs must be on the machine"
	if r.Carries {
		carries = "runc, the shim, pause and the CNI programs"
	}
	fmt.Fprintf(table, "carries\t%s\n", carries)
	fmt.Fprintf(table, "go\t%s\n", r.Go)
	fmt.Fprintf(table, "size\t%d\n", r.Size)
	fmt.Fprintf(table, "sha256\t%s\n", r.SHA256)
	return table.Flush()
}
