package daemon

import (
	"bytes"
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pouchfx/pouchfx/modules/registry"
	"github.com/pouchfx/pouchfx/plugins"
)

// command runs a command line without the machine's own configuration.
func command(t *testing.T, config string, args ...string) (status int, stdout, stderr string) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "config.yaml")
	require.NoError(t, os.WriteFile(file, []byte(config), 0o600))
	var out, errs bytes.Buffer
	status = run(targets, append(args, "--config-file", file), &out, &errs)
	return status, out.String(), errs.String()
}

func TestMistakesOnTheCommandLineAreUsageErrors(t *testing.T) {
	for _, args := range [][]string{{"serv"}, {"serve", "--bogus"}, {"serve", "argument"}, {"check", "--stop-timeout", "soon"}, {"plugin", "new"}, {"plugin", "new", "a", "b"}} {
		status, stdout, stderr := command(t, "", args...)
		assert.Equal(t, exitUsage, status, args)
		assert.Empty(t, stdout)
		assert.Contains(t, stderr, "--help'")
	}
}

func TestEveryCommandRefusesAConfigurationThatIsWrong(t *testing.T) {
	for _, name := range []string{"serve", "check", "plugins", "graph"} {
		status, stdout, stderr := command(t, "data-rot: /x\n", name)
		assert.Equal(t, exitFailure, status, name)
		assert.Empty(t, stdout, name)
		assert.Contains(t, stderr, `config.yaml:1: unknown key "data-rot": did you mean "data-root"?`, name)
	}
}

func TestSectionsOfUnknownPluginsAreRefused(t *testing.T) {
	for _, name := range []string{"serve", "check"} {
		status, _, stderr := command(t, "plugins:\n  lmits: {}\n", name, "--target", "demo")
		assert.Equal(t, exitFailure, status, name)
		assert.Contains(t, stderr, `config.yaml:2: plugins: unknown plugin "lmits": did you mean "limits"?`, name)
	}
}

func TestUnknownTargetsAreRefused(t *testing.T) {
	status, _, stderr := command(t, "", "check", "--target", "kubee")
	assert.Equal(t, exitFailure, status)
	assert.Contains(t, stderr, `unknown target "kubee"`)
}

func TestEveryTargetFitsTogether(t *testing.T) {
	for _, target := range targets {
		status, stdout, stderr := command(t, "", "check", "--target", target.Name)
		assert.Zero(t, status, stderr)
		assert.Contains(t, stdout, "target "+target.Name)
		assert.Contains(t, stdout, "all is well")
	}
}

func TestPluginsAreListedInTheOrderOfTheConfiguration(t *testing.T) {
	status, stdout, stderr := command(t, "plugins:\n  stamp: {policy: {priority: 99}}\n  diary: {policy: {enabled: false}}\n",
		"plugins", "--target", "demo", "--json")
	require.Zero(t, status, stderr)
	var list []registry.Info
	require.NoError(t, json.Unmarshal([]byte(stdout), &list))
	var names []string
	for _, p := range list {
		names = append(names, p.Name)
	}
	assert.Equal(t, []string{"stamp", "limits", "diary", "pulls", "tenants", "uplink", "volume-labels"}, names)
	assert.Equal(t, registry.Disabled, list[2].Status)
}

func TestPluginsOfARunningDaemonAreAskedFor(t *testing.T) {
	mux := http.NewServeMux()
	related := plugins.DefaultPolicy()
	related.Before, related.After = []string{"a"}, []string{"b", "c"}
	mux.HandleFunc("GET /pouchfx/plugins", func(w http.ResponseWriter, _ *http.Request) {
		assert.NoError(t, json.NewEncoder(w).Encode([]registry.Info{{
			Name: "quota", Kinds: []plugins.Kind{plugins.KindVolume}, Policy: related, Status: registry.Failed, Error: "no disk",
		}, {
			Name: "shaky", Kinds: []plugins.Kind{plugins.KindImage}, Policy: plugins.DefaultPolicy(), Status: registry.Tripped,
			Breaker: &registry.BreakerInfo{State: "open", Until: time.Now()},
		}}))
	})
	status, stdout, stderr := command(t, "", "plugins", "-H", answering(t, mux))
	require.Zero(t, status, stderr)
	assert.Regexp(t, `quota +volume +0 +before a, after b, after c +10s +fail +true +failed: no disk`, stdout)
	assert.Regexp(t, `shaky +image .* skipped until \d\d:\d\d:\d\d: it kept failing`, stdout)

	status, _, stderr = command(t, "", "plugins", "-H", "unix://"+filepath.Join(t.TempDir(), "absent"))
	assert.Equal(t, exitFailure, status)
	assert.Contains(t, stderr, "cannot ask the daemon at unix://")
}

func TestGraphIsDrawn(t *testing.T) {
	_, dot, _ := command(t, "", "graph")
	assert.Contains(t, dot, "digraph")
	_, mermaid, _ := command(t, "", "graph", "--format", "mermaid")
	assert.Contains(t, mermaid, "graph LR")
	status, _, stderr := command(t, "", "graph", "--format", "png")
	assert.Equal(t, exitFailure, status)
	assert.Contains(t, stderr, "use dot or mermaid")
}

func TestVersionNamesTheEngine(t *testing.T) {
	var out bytes.Buffer
	require.Zero(t, run(targets, []string{"version"}, &out, &out))
	assert.Contains(t, out.String(), "containerd")
}
