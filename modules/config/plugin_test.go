package config

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pouchfx/pouchfx/plugins"
)

// megabytes is a size as a plugin may define one.
type megabytes int

func (m *megabytes) UnmarshalText(text []byte) error {
	n, err := strconv.Atoi(strings.TrimSuffix(string(text), "m"))
	if err != nil {
		return fmt.Errorf("%q is not a size: write 64m", text)
	}
	*m = megabytes(n)
	return nil
}

type nested struct {
	Depth  uint8
	Factor float64
}

type pluginConfig struct {
	Shared  nested            `yaml:",inline"`
	Name    string            `yaml:"name"`
	Max     megabytes         `yaml:"max-memory"`
	Wait    time.Duration     `yaml:"wait"`
	Count   int8              `yaml:"count"`
	Labels  map[string]string `yaml:"labels"`
	Rules   []nested          `yaml:"rules"`
	Pointer *nested           `yaml:"pointer"`
	Any     any               `yaml:"any"`
	Hidden  string            `yaml:"-"`
}

func TestConflictsArePerHook(t *testing.T) {
	c, err := load(t, "conflicts: {PreCreate: error, PreUpdate: warn}")
	require.NoError(t, err)
	assert.Equal(t, plugins.Refuse, c.Conflicts("PreCreate"))
	assert.Equal(t, plugins.Warn, c.Conflicts("PreUpdate"))
	assert.Equal(t, plugins.Warn, c.Conflicts("PreStart"))
	_, err = load(t, "conflicts: {PreCreat: error, PreStart: shout}")
	assert.ErrorContains(t, err, `did you mean "PreCreate"?`)
	assert.ErrorContains(t, err, `"shout": use "warn" or "error"`)
}

func TestAPolicySaysWhoComesFirst(t *testing.T) {
	c, err := load(t, "plugins: {limits: {policy: {before: [a], after: [b, c], breaker: {failures: 9, cooldown: 1m}}}}")
	require.NoError(t, err)
	policy := plugins.DefaultPolicy()
	require.NoError(t, c.Plugin("limits", &policy, nil))
	assert.Equal(t, []string{"a"}, policy.Before)
	assert.Equal(t, []string{"b", "c"}, policy.After)
	assert.Equal(t, plugins.Breaker{Failures: 9, Cooldown: time.Minute}, policy.Breaker)
}

func TestAPluginIsConfiguredByASectionThatMayBeEmpty(t *testing.T) {
	c, err := load(t, "plugins: {full: {policy: {priority: 1}}, empty: {}, commented: }")
	require.NoError(t, err)
	for name, want := range map[string]bool{"full": true, "empty": true, "commented": true, "other": false} {
		assert.Equal(t, want, c.Configured(name), name)
	}
}

// span is a rule that is more than its fields.
type span struct{ From, To int }

func (s *span) Validate() error {
	if s.From > s.To {
		return fmt.Errorf("from %d is after to %d", s.From, s.To)
	}
	return nil
}

func TestWhatKnowsThatItCannotWorkIsToldWithItsLine(t *testing.T) {
	var spans struct {
		Rules   []span           `yaml:"rules"`
		Pointer *span            `yaml:"pointer"`
		Named   map[string]*span `yaml:"named"`
	}
	c, err := load(t, `
plugins:
  p:
    policy: {timeout: 0s}
    rules:
      - {from: 1, to: 2}
      - from: 3
        to: 2
      - {from: x, to: -1}
    pointer: {from: 4}
    named:
      a: {from: 5}
`)
	require.NoError(t, err)
	policy := plugins.DefaultPolicy()
	err = c.Plugin("p", &policy, &spans)
	require.Error(t, err)
	var lines []string
	for line := range strings.Lines(err.Error()) {
		_, rest, _ := strings.Cut(line, ".yaml:")
		lines = append(lines, strings.TrimSpace(rest))
	}
	assert.Equal(t, []string{
		`4: plugins.p.policy: timeout 0s: must be positive, such as 10s`,
		`7: plugins.p.rules[1]: from 3 is after to 2`,
		`9: plugins.p.rules[2].from: "x" is not a whole number from -9223372036854775808 to 9223372036854775807`,
		`10: plugins.p.pointer: from 4 is after to 0`,
		`12: plugins.p.named.a: from 5 is after to 0`,
	}, lines)
}

func TestASectionIsDecodedOverTheDefaults(t *testing.T) {
	c, err := load(t, `
plugins:
  limits:
    policy: {priority: 7, timeout: 2s, onError: ignore, required: false}
    max-memory: 64m
    wait: 1m
    count: -3
    depth: 200
    labels: {b: two}
    rules: [{depth: 1}, {factor: 2.5}]
    pointer: {factor: 3}
    any: {free: [1, x]}
`)
	require.NoError(t, err)
	policy := plugins.DefaultPolicy()
	defaults := pluginConfig{Name: "kept", Labels: map[string]string{"a": "one"}, Pointer: &nested{Depth: 9}}
	config := defaults

	require.NoError(t, c.Plugin("limits", &policy, &config))

	assert.Equal(t, plugins.Policy{Enabled: true, Priority: 7, Timeout: 2 * time.Second, OnError: plugins.Ignore, Breaker: plugins.DefaultPolicy().Breaker}, policy)
	assert.Equal(t, "kept", config.Name)
	assert.Equal(t, megabytes(64), config.Max)
	assert.Equal(t, time.Minute, config.Wait)
	assert.Equal(t, int8(-3), config.Count)
	assert.Equal(t, uint8(200), config.Shared.Depth)
	assert.Equal(t, map[string]string{"a": "one", "b": "two"}, config.Labels)
	assert.Equal(t, []nested{{Depth: 1}, {Factor: 2.5}}, config.Rules)
	assert.Equal(t, &nested{Depth: 9, Factor: 3}, config.Pointer)
	assert.Equal(t, map[string]any{"free": []any{1, "x"}}, config.Any)
	assert.Equal(t, map[string]string{"a": "one"}, defaults.Labels, "the provider's defaults stay as they were")
	assert.Equal(t, &nested{Depth: 9}, defaults.Pointer)
}

func TestWithoutASectionNothingChanges(t *testing.T) {
	c := Default()
	policy := plugins.DefaultPolicy()
	require.NoError(t, c.Plugin("limits", &policy, nil))
	assert.Equal(t, plugins.DefaultPolicy(), policy)
}

func TestMistakesInASectionAreNamed(t *testing.T) {
	tests := map[string]struct{ section, want string }{
		"unknown key":     {"max-memry: 1m", `:3: plugins.limits: unknown key "max-memry": did you mean "max-memory"?`},
		"hidden field":    {"hidden: x", `unknown key "hidden"`},
		"bad size":        {"max-memory: 12q", `:3: plugins.limits.max-memory: "12q" is not a size: write 64m`},
		"overflow":        {"count: 128", `:3: plugins.limits.count: "128" is not a whole number from -128 to 127`},
		"negative":        {"depth: -1", `"-1" is not a whole number from 0 to 255`},
		"not a number":    {"factor: x", `"x" is not a number`},
		"deep":            {"rules: [{depht: 1}]", `plugins.limits.rules[0]: unknown key "depht": did you mean "depth"?`},
		"list":            {"labels: [a]", "plugins.limits.labels: must be a mapping of keys to values, not a list"},
		"policy key":      {"policy: {timout: 1s}", `plugins.limits.policy: unknown key "timout": did you mean "timeout"?`},
		"policy choice":   {"policy: {onError: retry}", `plugins.limits.policy.onError: onError "retry": use "fail" or "ignore"`},
		"policy value":    {"policy: {timeout: -1s}", "plugins.limits.policy: timeout -1s: must be positive"},
		"policy's nature": {"policy: 3", `plugins.limits.policy: "3" is not a mapping`},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			c, err := load(t, "plugins:\n  limits:\n    "+test.section+"\n")
			require.NoError(t, err)
			policy := plugins.DefaultPolicy()
			err = c.Plugin("limits", &policy, &pluginConfig{})
			require.Error(t, err)
			assert.Contains(t, err.Error(), test.want)
			assert.Contains(t, err.Error(), "config.yaml:3")
		})
	}
}

func TestAPluginWithoutConfigurationTakesOnlyAPolicy(t *testing.T) {
	c, err := load(t, "plugins:\n  quiet:\n    policy: {enabled: false}\n    volume: 11\n")
	require.NoError(t, err)
	policy := plugins.DefaultPolicy()
	err = c.Plugin("quiet", &policy, nil)
	assert.ErrorContains(t, err, `:4: plugins.quiet: unknown key "volume": this plugin takes no configuration but its policy`)
	assert.False(t, policy.Enabled)
}

func TestSectionsOfUnknownPluginsAreReported(t *testing.T) {
	c, err := load(t, "plugins:\n  env-limit: {}\n  zzz:\n")
	require.NoError(t, err)
	assert.NoError(t, c.UnknownPlugins([]string{"env-limit", "zzz"}))
	err = c.UnknownPlugins([]string{"env-limits", "quota"})
	assert.ErrorContains(t, err, `:2: plugins: unknown plugin "env-limit": did you mean "env-limits"?`)
	assert.ErrorContains(t, err, `:3: plugins: unknown plugin "zzz": list the plugins`)
}

func FuzzFile(f *testing.F) {
	for _, seed := range []string{
		"", "hosts: [unix:///a]", "plugins: {limits: {rules: [{depth: 1}], policy: {timeout: 1s}}}",
		"a: &a [*a]", "? [a]\n: b", "data-root: !!binary aGk=", "plugins:\n  limits: !!float 1", "---\n---\n", "!!null {a: b}",
		"plugins: {limits: {any: {<<: {a: b}}}}", "stop-timeout: 9223372036854775807h",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		c := new(Default())
		c.origin = map[string]string{}
		if err := c.file("fuzz.yaml", text); err != nil {
			assert.Contains(t, err.Error(), "fuzz.yaml")
			return
		}
		policy := plugins.DefaultPolicy()
		_ = c.Plugin("limits", &policy, &pluginConfig{})
		_ = c.UnknownPlugins([]string{"limits"})
		_ = c.validate()
	})
}
