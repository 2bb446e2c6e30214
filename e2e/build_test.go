package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestADaemonWithAPluginFromOutside builds a daemon, twice, with a plugin from
// a module of its own, and sees the plugin change a container.
func TestADaemonWithAPluginFromOutside(t *testing.T) {
	plugin, out := t.TempDir(), t.TempDir()
	for name, text := range map[string]string{
		"go.mod": "module example.com/acme/quota\n\ngo 1.26\n",
		"quota.go": `// Package quota tells containers their quota.
package quota

import (
	"context"

	"github.com/pouchfx/pouchfx/plugins"
	"github.com/pouchfx/pouchfx/types"
)

var Module = plugins.Provide("quota", New, plugins.Defaults(Config{Quota: "10g"}))

type Config struct{ Quota string ` + "`yaml:\"quota\"`" + ` }

type Plugin struct {
	plugins.ContainerBase
	config Config
}

func New(c Config) (*Plugin, error) { return &Plugin{config: c}, nil }

func (p *Plugin) PreCreate(_ context.Context, c *types.ContainerCreateConfig) error {
	c.Env = append(c.Env, "QUOTA="+p.config.Quota)
	return nil
}
`,
	} {
		require.NoError(t, os.WriteFile(filepath.Join(plugin, name), []byte(text), 0o600))
	}
	tree, err := filepath.Abs("..")
	require.NoError(t, err)
	var made [2][]byte
	for i, name := range []string{"first", "second"} {
		cmd := exec.Command(built.daemon, "build", "--target", "minimal", "--plugin", plugin,
			"--replace", "github.com/pouchfx/pouchfx="+tree, "-o", filepath.Join(out, name))
		text, err := combinedOutputOutside(cmd)
		require.NoError(t, err, "%s", text)
		assert.Regexp(t, `plugin +example.com/acme/quota from `+plugin, string(text))
		made[i], err = os.ReadFile(filepath.Join(out, name))
		require.NoError(t, err)
	}
	assert.True(t, string(made[0]) == string(made[1]), "the same request makes the same bytes")

	d := ownDaemon(t, filepath.Join(out, "second"), embedded)
	d.load(t, "box")
	assert.Equal(t, "10g\n", d.run(t, "echo $QUOTA").stdout)
	listed, err := exec.Command(filepath.Join(out, "second"), "plugins", "-H", "unix://"+d.socket).Output()
	require.NoError(t, err)
	assert.Regexp(t, `quota +container +0 .* running`, string(listed))
}
