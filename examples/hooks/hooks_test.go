package hooks

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pouchfx/pouchfx/plugins"
	"github.com/pouchfx/pouchfx/plugins/plugintest"
)

func TestTheExamplesKeepTheContract(t *testing.T) {
	for _, p := range []*plugins.Provided{
		StatusModule, LimitsModule, TracerModule, UplinkModule, NotesModule, ReadonlyModule, TenantsModule, PullsModule, OwnersModule, ScratchModule,
	} {
		t.Run(p.Name, func(t *testing.T) {
			switch p {
			case ReadonlyModule:
				plugintest.Run(t, p, plugintest.Config("policy: {enabled: true}"))
			case ScratchModule:
				plugintest.Run(t, p, plugintest.Config("dir: "+t.TempDir()))
			default:
				plugintest.Run(t, p)
			}
		})
	}
}

// What the documentation shows is what was compiled and tested.
func TestTheDocumentationQuotesTheExamplesToTheLetter(t *testing.T) {
	document, err := os.ReadFile("../../docs/plugins.md")
	require.NoError(t, err)
	var code strings.Builder
	for _, pattern := range []string{"*.go", "../gatekeeper/*.go", "../daemon/*.go"} {
		files, err := filepath.Glob(pattern)
		require.NoError(t, err)
		require.NotEmpty(t, files, pattern)
		for _, file := range files {
			text, err := os.ReadFile(file)
			require.NoError(t, err)
			code.Write(text)
		}
	}
	blocks := regexp.MustCompile("(?s)```go\n(.*?)```").FindAllStringSubmatch(string(document), -1)
	require.Greater(t, len(blocks), 11)
	var quoted []string
	for _, b := range blocks {
		for part := range strings.SplitSeq(b[1], "\n…\n") { // what is left out
			assert.Contains(t, code.String(), strings.Trim(part, "\n"))
		}
		quoted = append(quoted, b[1])
	}
	for _, hook := range []string{
		"UpdateHandler", "PreCreate", "PreStart", "PreCreateEndpoint", "PreUpdate", "PostUpdate", "PreCreateContainer", "PreStartHook", "PreStopHook",
		"PostPull", "PreVolumeCreate", "UndoPreCreate",
	} {
		assert.True(t, slices.ContainsFunc(quoted, func(b string) bool { return strings.Contains(b, ") "+hook+"(") }), "no example of %s", hook)
	}
}
