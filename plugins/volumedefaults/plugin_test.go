package volumedefaults_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/containerd/errdefs"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pouchfx/pouchfx/modules/config"
	"github.com/pouchfx/pouchfx/plugins"
	"github.com/pouchfx/pouchfx/plugins/plugintest"
	"github.com/pouchfx/pouchfx/plugins/volumedefaults"
	"github.com/pouchfx/pouchfx/types"
)

const rules = `
    rules:
      - when: {name: host-*}
        refuse: names that begin with host- are the operator's
      - when: {labels: {tier: cache}}
        driver: local
        options: {type: tmpfs, device: tmpfs, o: size=64m}
        labels: {kind: memory}
      - labels: {node: n17}
        override: true
      - when: {labels: {kind: memory}}
        labels: {chained: "yes"}
`

// read decodes a section as the daemon does.
func read(t testing.TB, section string) (volumedefaults.Config, error) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "config.yaml")
	require.NoError(t, os.WriteFile(file, []byte("plugins:\n  volumedefaults:\n"+section), 0o600))
	c, err := config.Load(file, nil, nil)
	require.NoError(t, err)
	var decoded volumedefaults.Config
	policy := plugins.DefaultPolicy()
	err = c.Plugin("volumedefaults", &policy, &decoded)
	return decoded, err
}

func newPlugin(t testing.TB, section string) *volumedefaults.Plugin {
	t.Helper()
	c, err := read(t, section)
	require.NoError(t, err)
	p, err := volumedefaults.New(c)
	require.NoError(t, err)
	return p
}

func cache() *types.VolumeCreateConfig {
	return &types.VolumeCreateConfig{Name: "pages", Labels: map[string]string{"tier": "cache"}}
}

func TestThePluginKeepsTheContract(t *testing.T) {
	plugintest.Run(t, volumedefaults.Module, plugintest.Config(strings.ReplaceAll(rules, "\n    ", "\n")), plugintest.Volumes(cache()))
}

func TestRulesGiveOptionsAndLabels(t *testing.T) {
	for about, test := range map[string]struct{ asked, want types.VolumeCreateConfig }{
		"nothing asked for": {
			*cache(),
			types.VolumeCreateConfig{
				Name: "pages", DriverOpts: map[string]string{"type": "tmpfs", "device": "tmpfs", "o": "size=64m"},
				Labels: map[string]string{"tier": "cache", "kind": "memory", "node": "n17"},
			},
		},
		"the client's own stays unless overridden": {
			types.VolumeCreateConfig{
				Name: "pages", Driver: "local", DriverOpts: map[string]string{"o": "size=1m"},
				Labels: map[string]string{"tier": "cache", "kind": "own", "node": "own"},
			},
			types.VolumeCreateConfig{
				Name: "pages", Driver: "local", DriverOpts: map[string]string{"type": "tmpfs", "device": "tmpfs", "o": "size=1m"},
				Labels: map[string]string{"tier": "cache", "kind": "own", "node": "n17"},
			},
		},
		"another driver": {
			types.VolumeCreateConfig{Name: "pages", Driver: "nfs", Labels: map[string]string{"tier": "cache"}},
			types.VolumeCreateConfig{Name: "pages", Driver: "nfs", Labels: map[string]string{"tier": "cache", "node": "n17"}},
		},
		"no labels": {
			types.VolumeCreateConfig{Name: "data"},
			types.VolumeCreateConfig{Name: "data", Labels: map[string]string{"node": "n17"}},
		},
	} {
		t.Run(about, func(t *testing.T) {
			require.NoError(t, newPlugin(t, rules).PreVolumeCreate(t.Context(), &test.asked))
			assert.Equal(t, test.want, test.asked)
		})
	}
}

func TestARefusedNameHasTheRulesMessage(t *testing.T) {
	c := &types.VolumeCreateConfig{Name: "host-data"}
	err := newPlugin(t, rules).PreVolumeCreate(t.Context(), c)
	assert.True(t, errdefs.IsPermissionDenied(err), "%v", err)
	assert.EqualError(t, err, `volume "host-data": names that begin with host- are the operator's`)
	assert.Equal(t, &types.VolumeCreateConfig{Name: "host-data"}, c)

	late := newPlugin(t, "    rules: [{labels: {a: b}}, {when: {name: host-*}, refuse: no}]\n")
	c = &types.VolumeCreateConfig{Name: "host-data"}
	require.Error(t, late.PreVolumeCreate(t.Context(), c))
	assert.Empty(t, c.Labels, "nothing is half done")
}

func TestRulesThatMakeNoSenseAreRefusedWithTheirLine(t *testing.T) {
	for rule, want := range map[string]string{
		`when: {name: a}`:                         "the rule does nothing",
		`refuse: no, labels: {a: b}`:              "make two of it",
		`when: {image: a}, refuse: no`:            "a volume has no image and no namespace",
		`when: {namespace: a}, refuse: no`:        "a volume has no image and no namespace",
		`when: {name: ""}, refuse: no`:            "the pattern is empty",
		`labels: {"": b}`:                         "one has none",
		`when: {name: a}, deny: no, refuse: "no"`: `unknown key "deny"`,
	} {
		_, err := read(t, "    rules:\n      - {"+rule+"}\n")
		assert.ErrorContains(t, err, "config.yaml:4: plugins.volumedefaults.rules[0]", rule)
		assert.ErrorContains(t, err, want, rule)
	}
}

func BenchmarkPreVolumeCreate(b *testing.B) {
	p := newPlugin(b, rules)
	for b.Loop() {
		if err := p.PreVolumeCreate(b.Context(), cache()); err != nil {
			b.Fatal(err)
		}
	}
}
