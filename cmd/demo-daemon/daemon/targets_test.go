package daemon

import (
	"cmp"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pouchfx/pouchfx/app"
	"github.com/pouchfx/pouchfx/cmd/demo-daemon/builder"
	"github.com/pouchfx/pouchfx/modules/config"
)

var update = flag.Bool("update", false, "write the golden files anew")

// golden compares lines with a file of testdata, so that each change of what a
// daemon is made of is seen in a diff. One thing a line merges well.
func golden(t *testing.T, name string, lines []string) {
	t.Helper()
	file := filepath.Join("testdata", name)
	want := strings.Join(lines, "\n") + "\n"
	if *update {
		require.NoError(t, os.WriteFile(file, []byte(want), 0o644))
	}
	got, err := os.ReadFile(file)
	require.NoError(t, err)
	assert.Equal(t, string(got), want, "run make golden and look at the difference")
}

// TestTargetsAreAsReviewed holds the modules of each target of this build, in
// their order, and its plugins in the order in which they are called where the
// configuration says nothing.
func TestTargetsAreAsReviewed(t *testing.T) {
	c, err := config.Load(emptyFile(t), nil, nil)
	require.NoError(t, err)
	name := regexp.MustCompile(`^fx\.Module\("([^"]+)"|^(fx\.\w+\(.*/\w+)`) // of others, the package
	for _, target := range targets {
		var lines []string
		for _, m := range target.Modules {
			found := name.FindStringSubmatch(fmt.Sprint(m))
			require.NotNil(t, found, "%v has no name", m)
			lines = append(lines, "module "+cmp.Or(found[1], found[2]+")"))
		}
		report, err := app.Check(target, c)
		require.NoError(t, err)
		for _, p := range report.Plugins {
			kinds := strings.Trim(fmt.Sprint(p.Kinds), "[]")
			lines = append(lines, fmt.Sprintf("plugin %s: %s, priority %d", p.Name, kinds, p.Policy.Priority))
		}
		golden(t, target.Name+".target", lines)
	}
}

func emptyFile(t *testing.T) string {
	file := filepath.Join(t.TempDir(), "config.yaml")
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	return file
}

// TestBinariesLinkWhatIsReviewed holds the modules of others that are part of
// the binary of each build tag.
func TestBinariesLinkWhatIsReviewed(t *testing.T) {
	for _, tag := range builder.Targets() {
		cmd := exec.Command("go", "list", "-deps", "-tags", "no_rdt,grpcnotrace,"+tag,
			"-f", `{{with .Module}}{{if not .Main}}{{.Path}}{{end}}{{end}}`, "..")
		cmd.Env = append(os.Environ(), "GOOS=linux", "GOARCH=amd64", "CGO_ENABLED=0", "GOFLAGS=")
		out, err := cmd.Output()
		require.NoError(t, err)
		linked := strings.Fields(string(out))
		slices.Sort(linked)
		golden(t, tag+".linked", slices.Compact(linked))
	}
}
