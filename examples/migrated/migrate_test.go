package migrated

import (
	"flag"
	"go/format"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var update = flag.Bool("update", false, "move the plugins in testdata anew")

// fields are the changes beside the imports: fields whose type differs.
var fields = map[string][][2]string{
	"containerplugin": {
		{"(createConfig.HostConfig.ShmSize == nil || *createConfig.HostConfig.ShmSize == 0)", "createConfig.HostConfig.ShmSize == 0"},
		{"createConfig.HostConfig.ShmSize = &half", "createConfig.HostConfig.ShmSize = half"},
	},
}

// imports reads the table of docs/migrating.md: the import of old and the one
// of today, with the name that keeps the rest of the file as it is.
func imports(t *testing.T) map[string]string {
	t.Helper()
	text, err := os.ReadFile("../../docs/migrating.md")
	require.NoError(t, err)
	table := make(map[string]string)
	for _, row := range regexp.MustCompile("(?m)^\\| `\"([^`]+)\"` \\| `(\\w+) \"([^`]+)\"` \\|").FindAllStringSubmatch(string(text), -1) {
		table[row[1]] = row[2] + ` "` + row[3] + `"`
	}
	require.NotEmpty(t, table)
	return table
}

func TestMovedPluginsDifferInWhatTheGuideSaysAlone(t *testing.T) {
	table := imports(t)
	line := regexp.MustCompile(`(?m)^\t(\w+ )?"([^"]+)"$`)
	for _, name := range []string{"containerplugin", "apiplugin", "hostplugin"} {
		original, err := os.ReadFile(filepath.Join("testdata", name, "plugin.go"))
		require.NoError(t, err)
		want := line.ReplaceAllStringFunc(string(original), func(old string) string {
			parts := line.FindStringSubmatch(old)
			today, ok := table[parts[2]]
			if !ok {
				return old
			}
			if parts[1] != "" {
				_, path, _ := strings.Cut(today, " ")
				today = parts[1] + path
			}
			return "\t" + today
		})
		assert.NotContains(t, want, "alibaba")
		for _, edit := range fields[name] {
			require.Contains(t, want, edit[0])
			want = strings.ReplaceAll(want, edit[0], edit[1])
		}
		formatted, err := format.Source([]byte(want))
		require.NoError(t, err)
		want = string(formatted)
		file := filepath.Join(name, "plugin.go")
		if *update {
			require.NoError(t, os.MkdirAll(name, 0o755))
			require.NoError(t, os.WriteFile(file, []byte(want), 0o644))
		}
		moved, err := os.ReadFile(file)
		require.NoError(t, err)
		assert.Equal(t, want, string(moved), name)
	}
}
