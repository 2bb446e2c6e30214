package envlimits_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/api/types/container"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pouchfx/pouchfx/modules/config"
	"github.com/pouchfx/pouchfx/plugins"
	"github.com/pouchfx/pouchfx/plugins/envlimits"
	"github.com/pouchfx/pouchfx/plugins/plugintest"
	"github.com/pouchfx/pouchfx/types"
)

const rules = `
    rules:
      - {env: MEMORY_LIMIT, set: memory, remove: true}
      - {env: MEM, set: memory}
      - {env: CPU_LIMIT, set: cpus, override: true}
      - {label: org.example.files, set: ulimits.nofile, remove: true}
      - {env: MEMORY_LIMIT, set: memory-swap}
      - when: {name: web, image: "*/web:*", labels: {tier: back}}
        env: BACKLOG
        set: sysctls.net.core.somaxconn
`

// read decodes a section as the daemon does.
func read(t testing.TB, section string) (envlimits.Config, error) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "config.yaml")
	require.NoError(t, os.WriteFile(file, []byte("plugins:\n  envlimits:\n"+section), 0o600))
	c, err := config.Load(file, nil, nil)
	require.NoError(t, err)
	var decoded envlimits.Config
	policy := plugins.DefaultPolicy()
	err = c.Plugin("envlimits", &policy, &decoded)
	return decoded, err
}

func newPlugin(t testing.TB, section string) *envlimits.Plugin {
	t.Helper()
	c, err := read(t, section)
	require.NoError(t, err)
	p, err := envlimits.New(c)
	require.NoError(t, err)
	return p
}

func asking(env []string, labels map[string]string) *types.ContainerCreateConfig {
	c := &types.ContainerCreateConfig{HostConfig: &types.HostConfig{}, NetworkingConfig: &types.NetworkingConfig{}}
	c.Image, c.Env, c.Labels = "registry.example.com/shop/web:1.2", env, labels
	return c
}

func TestThePluginKeepsTheContract(t *testing.T) {
	plugintest.Run(t, envlimits.Module, plugintest.Config(strings.ReplaceAll(rules, "\n    ", "\n")), plugintest.Creates(
		asking([]string{"MEMORY_LIMIT=512m", "CPU_LIMIT=2", "BACKLOG=9"}, map[string]string{"org.example.files": "9:9", "tier": "back"})))
}

func TestVariablesAndLabelsBecomeLimits(t *testing.T) {
	ctx := plugins.WithRequest(t.Context(), plugins.Request{Name: "web"})
	c := asking([]string{"A=b", "MEMORY_LIMIT=1m", "MEMORY_LIMIT=512m", "MEM=7m", "CPU_LIMIT=0.5", "BACKLOG=1024"},
		map[string]string{"org.example.files": "1024:2048", "tier": "back"})
	for range 2 { // and again, for nothing piles up
		require.NoError(t, newPlugin(t, rules).PreCreate(ctx, c))
		assert.Equal(t, []string{"A=b", "MEM=7m", "CPU_LIMIT=0.5", "BACKLOG=1024"}, c.Env)
		assert.Equal(t, map[string]string{"tier": "back"}, c.Labels)
		assert.Equal(t, types.Resources{
			Memory: 512 << 20, MemorySwap: 512 << 20, NanoCPUs: 5e8, // the last of a variable, and the first rule
			Ulimits: []*container.Ulimit{{Name: "nofile", Soft: 1024, Hard: 2048}},
		}, c.HostConfig.Resources)
		assert.Equal(t, map[string]string{"net.core.somaxconn": "1024"}, c.HostConfig.Sysctls)
	}

	other := asking([]string{"BACKLOG=1024"}, map[string]string{"tier": "front"})
	require.NoError(t, newPlugin(t, rules).PreCreate(ctx, other))
	assert.Nil(t, other.HostConfig.Sysctls, "the rule is for others")
}

func TestWhatTheClientAskedForStaysUnlessOverridden(t *testing.T) {
	c := asking([]string{"MEMORY_LIMIT=512m", "CPU_LIMIT=0.5"}, nil)
	c.HostConfig.Resources = types.Resources{Memory: 1 << 30, MemorySwap: -1, CPUQuota: 1000, CPUPeriod: 2000}
	require.NoError(t, newPlugin(t, rules).PreCreate(t.Context(), c))
	assert.Equal(t, types.Resources{Memory: 1 << 30, MemorySwap: -1, NanoCPUs: 5e8}, c.HostConfig.Resources)
	assert.Equal(t, []string{"CPU_LIMIT=0.5"}, c.Env, "it is taken away all the same")
}

func TestNothingSaidChangesNothing(t *testing.T) {
	for _, env := range [][]string{nil, {"A=b"}, {"MEM="}, {"MEMORY_LIMIT"}, {"MEMORY_LIMITS=1"}} {
		c := asking(env, nil)
		require.NoError(t, newPlugin(t, rules).PreCreate(t.Context(), c))
		assert.Equal(t, asking(env, nil), c)
	}
}

func TestAValueThatDoesNotParseRefusesTheCreate(t *testing.T) {
	for want, c := range map[string]*types.ContainerCreateConfig{
		`MEMORY_LIMIT "12q": memory: not a size: write bytes, or a number with a unit, such as 512m or 1g`:           asking([]string{"MEMORY_LIMIT=12q"}, nil),
		`CPU_LIMIT "half": cpus: not a number of processors: write a number such as 0.5, with at most nine decimals`: asking([]string{"CPU_LIMIT=half"}, nil),
		`label org.example.files "2:1": ulimits.nofile: `:                                                            asking(nil, map[string]string{"org.example.files": "2:1"}),
	} {
		c.HostConfig.Memory = 1 << 20 // which stays, but the mistake is told
		err := newPlugin(t, rules).PreCreate(t.Context(), c)
		assert.True(t, errdefs.IsInvalidArgument(err), "%v", err)
		assert.ErrorContains(t, err, want)
	}
}

func TestRulesThatMakeNoSenseAreRefusedWithTheirLine(t *testing.T) {
	for section, want := range map[string]string{
		"    rules:\n      - {env: A}\n":                            "config.yaml:4: plugins.envlimits.rules[0]: the key set is missing",
		"    rules:\n      - {set: memory}\n":                       "config.yaml:4: plugins.envlimits.rules[0]: give one of the keys env and label",
		"    rules:\n      - env: A\n        set: mem\n":            `config.yaml:5: plugins.envlimits.rules[0].set: "mem" is no field: use one of memory,`,
		"    rules:\n      - {env: A, set: memory, delete: true}\n": `unknown key "delete"`,
	} {
		_, err := read(t, section)
		assert.ErrorContains(t, err, want)
	}
}

func BenchmarkPreCreate(b *testing.B) {
	p, ctx := newPlugin(b, rules), plugintest.Context(b.Context())
	for b.Loop() {
		c := plugintest.CreateConfig()
		c.Env = append(c.Env, "MEMORY_LIMIT=512m", "CPU_LIMIT=0.5", "BACKLOG=1024")
		c.Labels["org.example.files"] = "1024:2048"
		if err := p.PreCreate(ctx, c); err != nil {
			b.Fatal(err)
		}
	}
}
