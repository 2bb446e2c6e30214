package main

import (
	"cmp"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var update = flag.Bool("update", false, "write NOTICE anew")

// TestNotice keeps the file NOTICE in step with what the binary carries.
func TestNotice(t *testing.T) {
	const file = "../../NOTICE"
	want := notice(t)
	if *update {
		require.NoError(t, os.WriteFile(file, []byte(want), 0o644))
	}
	got, err := os.ReadFile(file)
	require.NoError(t, err)
	assert.True(t, want == string(got), "NOTICE does not tell what the binary carries: run make notice and look at the difference")
}

// carried is one module that is part of the binary.
type carried struct {
	Path, Version, Dir string
	Main               bool
}

func notice(t *testing.T) string {
	var out strings.Builder
	fmt.Fprintln(&out, "pouchfx\nCopyright the pouchfx authors\n\nLicensed under the Apache License, Version 2.0; see the file LICENSE.")
	texts := map[string][2]string{} // the words of a licence without its copyright → its name and text
	for _, part := range []struct {
		title, dir string
		pkgs       []string
	}{
		{"The binary demo-daemon contains these Go modules", ".", []string{"."}},
		{"It carries the program runc, which contains these", "../../tools", []string{"github.com/opencontainers/runc"}},
		{"It carries the programs bridge and host-local of CNI, which contain these", "../../tools/cni", []string{"tool"}},
	} {
		modules := linked(t, part.dir, part.pkgs...)
		fmt.Fprintf(&out, "\n%s:\n\n", part.title)
		for _, m := range modules {
			for _, file := range licenceFiles(t, m.Dir) {
				name, copyrights, text := licence(t, file)
				texts[strings.Join(strings.Fields(text), " ")] = [2]string{name, text}
				fmt.Fprintf(&out, "%s %s (%s)\n", m.Path, m.Version, name)
				for _, line := range copyrights {
					fmt.Fprintf(&out, "    %s\n", line)
				}
			}
		}
		for _, m := range modules {
			if text, err := os.ReadFile(filepath.Join(m.Dir, "NOTICE")); err == nil {
				fmt.Fprintf(&out, "\n---- NOTICE of %s ----\n%s\n", m.Path, strings.TrimSpace(string(text)))
			}
		}
	}
	fmt.Fprint(&out, neitherModule)
	fmt.Fprintf(&out, "\nThe licences other than Apache's and the GNU ones, with the copyrights named above:\n")
	for _, words := range slices.SortedFunc(maps.Keys(texts), func(a, b string) int { return cmp.Or(cmp.Compare(texts[a][0], texts[b][0]), cmp.Compare(a, b)) }) {
		if name, text := texts[words][0], texts[words][1]; name != "Apache-2.0" {
			fmt.Fprintf(&out, "\n---- %s ----\n%s\n", name, text)
		}
	}
	return out.String()
}

// neitherModule tells of what go list does not know.
const neitherModule = `
All contain the Go standard library (BSD-3-Clause)
    Copyright 2009 The Go Authors.

runc is linked statically with libseccomp and the GNU C Library of the system
on which it was built. Both are under the GNU Lesser General Public License,
version 2.1; their sources are that system's (apt-get source libseccomp glibc),
and make assets links runc with others.
`

// linked returns the modules of others of which packages' programs consist.
func linked(t *testing.T, dir string, pkgs ...string) []carried {
	t.Helper()
	cmd := exec.Command("go", append([]string{"list", "-deps", "-json=Module"}, pkgs...)...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GOOS=linux", "GOARCH=amd64", "CGO_ENABLED=1", "GOFLAGS=-tags=netgo,osusergo,seccomp,assets,no_rdt,grpcnotrace")
	out, err := cmd.Output()
	require.NoError(t, err)
	found := map[string]carried{}
	for decoder := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p struct{ Module *carried }
		if err := decoder.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else {
			require.NoError(t, err)
		}
		if m := p.Module; m != nil && !m.Main {
			found[m.Path] = *m
		}
	}
	return slices.SortedFunc(maps.Values(found), func(a, b carried) int { return cmp.Compare(a.Path, b.Path) })
}

var (
	copyrightLine = regexp.MustCompile(`(?i)^\s*(copyright\s+(\(c\)|©|\d{4}|the|by)).*`)
	templateLine  = regexp.MustCompile(`\[yyyy\]|copyright (owner|notice|holder|law|statement|licen)`)
	// What is said once in a licence, and in no other.
	phrases = []struct{ phrase, name string }{
		{"Apache License Version 2.0", "Apache-2.0"},
		{"Creative Commons CC0 1.0 Universal", "CC0-1.0"},
		{"Mozilla Public License Version 2.0", "MPL-2.0"},
		{"Mozilla Public License, version 2.0", "MPL-2.0"},
		{"Neither the name", "BSD-3-Clause"},
		{"names of its contributors may", "BSD-3-Clause"},
		{"Redistribution and use in source and binary forms", "BSD-2-Clause"},
		{"Permission is hereby granted, free of charge", "MIT"},
		{"Permission to use, copy, modify, and/or distribute", "ISC"},
		{"Permission to use, copy, modify, and distribute", "ISC"},
	}
)

// licenceFiles returns the files of a module that hold its licences.
func licenceFiles(t *testing.T, dir string) (files []string) {
	t.Helper()
	for _, pattern := range []string{"LICENSE*", "LICENCE*", "COPYING*"} {
		found, err := filepath.Glob(filepath.Join(dir, pattern))
		require.NoError(t, err)
		files = append(files, slices.DeleteFunc(found, func(f string) bool { return strings.HasSuffix(f, ".docs") })...)
	}
	require.NotEmpty(t, files, "%s has no licence", dir)
	return files
}

// licence tells a licence by its name, the lines of copyright, and the text
// without them.
func licence(t *testing.T, file string) (name string, copyrights []string, text string) {
	t.Helper()
	content, err := os.ReadFile(file)
	require.NoError(t, err)
	var body []string
	for line := range strings.Lines(string(content)) {
		line = strings.TrimRight(line, " \t\r\n")
		if copyrightLine.MatchString(line) && !templateLine.MatchString(line) {
			copyrights = append(copyrights, strings.TrimSpace(line))
		} else {
			body = append(body, line)
		}
	}
	words := strings.Join(strings.Fields(string(content)), " ")
	for _, p := range phrases {
		if strings.Contains(words, p.phrase) {
			return p.name, copyrights, strings.TrimSpace(strings.Join(body, "\n"))
		}
	}
	t.Fatalf("the licence in %s is of no known kind", file)
	return "", nil, ""
}
