//go:build !minimal && !kube

package daemon

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pouchfx/pouchfx/modules/config"
	"github.com/pouchfx/pouchfx/plugins"
)

// folders returns the plugins of the default target with the folder of each.
func folders(t *testing.T) map[string]*plugins.Provided {
	t.Helper()
	all := map[string]*plugins.Provided{}
	for _, p := range targets[0].Plugins {
		_, rest, found := strings.Cut(p.Origin, "/pouchfx/plugins/")
		require.True(t, found, p.Origin)
		folder, _, _ := strings.Cut(rest, ".")
		all[filepath.Join("..", "..", "..", "plugins", folder)] = p
	}
	require.NotEmpty(t, all)
	return all
}

func TestShippedPluginsAreLeftOutUnlessConfigured(t *testing.T) {
	for _, p := range folders(t) {
		policy, err := p.Settle(new(config.Default()))
		require.NoError(t, err)
		assert.False(t, policy.Enabled, p.Name)
	}
}

func TestShippedPluginsAreExplainedInOneForm(t *testing.T) {
	example := regexp.MustCompile("(?ms)^```yaml\n(.*?)^```$")
	for folder, p := range folders(t) {
		t.Run(p.Name, func(t *testing.T) {
			text, err := os.ReadFile(filepath.Join(folder, "README.md"))
			require.NoError(t, err)
			var titles []string
			for line := range strings.Lines(string(text)) {
				if strings.HasPrefix(line, "## ") {
					titles = append(titles, strings.TrimSpace(line))
				}
			}
			assert.Equal(t, []string{"## What it does", "## Configuration", "## Example", "## What it changes", "## How it fails"}, titles)

			examples := example.FindAllStringSubmatch(string(text), -1)
			require.NotEmpty(t, examples)
			for _, e := range examples {
				file := filepath.Join(t.TempDir(), "config.yaml")
				require.NoError(t, os.WriteFile(file, []byte(e[1]), 0o600))
				c, err := config.Load(file, nil, nil)
				require.NoError(t, err, e[1])
				require.True(t, c.Configured(p.Name), e[1])
				policy, err := p.Settle(c)
				require.NoError(t, err, e[1])
				assert.True(t, policy.Enabled)
			}
		})
	}
}

func TestCheckTellsWhereARuleIsWrong(t *testing.T) {
	file := filepath.Join(t.TempDir(), "config.yaml")
	require.NoError(t, os.WriteFile(file, []byte(`
plugins:
  podpolicy:
    rules:
      - refuse:
          - if: container.privileged
          - if: container.privilegd
  apiguard:
    rules: [{do: deny, paths: [build]}]
  sidecars:
    helpers:
      - {name: proxy, command: [proxy]}
`), 0o600))
	var out, errs strings.Builder
	assert.Equal(t, 1, run(targets, []string{"check", "--config-file", file}, &out, &errs))
	for _, want := range []string{
		`config.yaml:7: plugins.podpolicy.rules[0].refuse[1].if: line 1, column 10: undefined field 'privilegd'`,
		`config.yaml:9: plugins.apiguard.rules[0]: path "build": begins with / or *`,
		`config.yaml:12: plugins.sidecars.helpers[0]: command ["proxy"]: begin it with the absolute path`,
	} {
		assert.Contains(t, errs.String(), want)
	}
}
