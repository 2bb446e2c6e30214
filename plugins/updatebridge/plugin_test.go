package updatebridge_test

import (
	"io"
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
	"github.com/pouchfx/pouchfx/plugins/updatebridge"
)

const rules = `
    rules:
      - {clamp: memory, most: 4g}
      - {clamp: pids-limit, most: "100"}
      - {clamp: memory-swap, most: 8g}
      - {key: MemoryLimitInBytes, rename: Memory}
      - {env: MEMORY_LIMIT, set: memory, remove: true}
      - {env: MEMORY_LIMIT, set: memory-reservation}
      - when: {name: web, labels: {tier: back}}
        label: org.example.cpus
        set: cpus
        override: true
        remove: true
      - {key: BlkioWeight, drop: true}
    env-file: {path: /run/instance/env}
`

// read decodes a section as the daemon does.
func read(t testing.TB, section string) (updatebridge.Config, error) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "config.yaml")
	require.NoError(t, os.WriteFile(file, []byte("plugins:\n  updatebridge:\n"+section), 0o600))
	c, err := config.Load(file, nil, nil)
	require.NoError(t, err)
	decoded := updatebridge.Config{EnvFile: updatebridge.EnvFile{Mode: 0o600}}
	policy := plugins.DefaultPolicy()
	err = c.Plugin("updatebridge", &policy, &decoded)
	return decoded, err
}

func newPlugin(t testing.TB, section string) *updatebridge.Plugin {
	t.Helper()
	c, err := read(t, section)
	require.NoError(t, err)
	p, err := updatebridge.New(c)
	require.NoError(t, err)
	return p
}

func rewrite(t testing.TB, p *updatebridge.Plugin, body string) (string, error) {
	t.Helper()
	ctx := plugins.WithRequest(t.Context(), plugins.Request{Name: "web", Labels: map[string]string{"tier": "back"}})
	r, err := p.PreUpdate(ctx, io.NopCloser(strings.NewReader(body)))
	if err != nil {
		return "", err
	}
	text, err := io.ReadAll(r)
	require.NoError(t, err)
	return string(text), nil
}

func TestThePluginKeepsTheContract(t *testing.T) {
	plugintest.Run(t, updatebridge.Module, plugintest.Config(strings.ReplaceAll(rules, "\n    ", "\n")),
		plugintest.Updates(`{"Env":["MEMORY_LIMIT=512m"],"Label":["org.example.cpus=1"],"CpuQuota":5}`))
}

func TestUpdatesAreRewritten(t *testing.T) {
	p := newPlugin(t, rules)
	for body, want := range map[string]string{
		`{"Env":["A=b","MEMORY_LIMIT=512m"]}`:                       `{"Env":["A=b"],"Memory":536870912,"MemoryReservation":536870912}`,
		`{"Env":["MEMORY_LIMIT=512m"],"Memory":0}`:                  `{"Memory":536870912,"MemoryReservation":536870912}`,
		`{"Env":["MEMORY_LIMIT=512m"],"Memory":7}`:                  `{"Memory":7,"MemoryReservation":536870912}`,
		`{"env":["MEMORY_LIMIT=9g"],"memory":null}`:                 `{"memory":4294967296,"MemoryReservation":9663676416}`,
		`{"MemoryLimitInBytes":77}`:                                 `{"Memory":77}`,
		`{"MemoryLimitInBytes":77,"Memory":78}`:                     `{"Memory":78}`,
		`{"memorylimitinbytes":9000000000}`:                         `{"Memory":4294967296}`,
		`{"Label":["a=b","org.example.cpus=0.5"],"CpuQuota":5000}`:  `{"Label":["a=b"],"NanoCpus":500000000}`,
		`{"BlkioWeight":5,"CpuShares":9007199254740993}`:            `{"CpuShares":9007199254740993}`,
		`{"MEMORY":99999999999}`:                                    `{"MEMORY":4294967296}`,
		`{"Memory":-1,"MemorySwap":-1,"PidsLimit":-1}`:              `{"Memory":4294967296,"MemorySwap":8589934592,"PidsLimit":100}`,
		`{"PidsLimit":0,"Memory":1}`:                                `{"PidsLimit":100,"Memory":1}`,
		`{"RestartPolicy":{"Name":"<a>"},"Env":["MEMORY_LIMIT=1"]}`: `{"RestartPolicy":{"Name":"<a>"},"Memory":1,"MemoryReservation":1}`,
	} {
		once, err := rewrite(t, p, body)
		require.NoError(t, err, body)
		assert.JSONEq(t, want, once)
		assert.Equal(t, strings.Contains(want, "9007199254740993"), strings.Contains(once, "9007199254740993"), "each digit is kept")
		twice, err := rewrite(t, p, once)
		require.NoError(t, err)
		assert.JSONEq(t, once, twice, "and again, for nothing piles up")
	}
}

func TestWhatNoRuleIsForStaysByteForByte(t *testing.T) {
	for _, body := range []string{
		"{}", ` {"Memory": 1048576 , "CpuShares":1e3}`, `{"PidsLimit":null,"Memory":0,"MemorySwap":"much"}`,
		`{"Env":["MEMORY_LIMITS=1","MEMORY_LIMIT"],"Label":["a=b"]}`, `{"Memory":99999999999999999999}`,
	} {
		text, err := rewrite(t, newPlugin(t, rules), body)
		require.NoError(t, err)
		assert.Equal(t, body, text)
	}
	other, err := newPlugin(t, rules).PreUpdate(t.Context(), io.NopCloser(strings.NewReader(`{"Label":["org.example.cpus=0.5"]}`)))
	require.NoError(t, err)
	text, err := io.ReadAll(other)
	require.NoError(t, err)
	assert.Equal(t, `{"Label":["org.example.cpus=0.5"]}`, string(text), "the rule is for others")

	text2, err := rewrite(t, newPlugin(t, "    env-file: {path: /a}\n"), "no rule, no look")
	require.NoError(t, err)
	assert.Equal(t, "no rule, no look", text2)
}

func TestBodiesAndValuesThatAreRefused(t *testing.T) {
	for body, want := range map[string]string{
		"no json":                             "the update is not a JSON object",
		"":                                    "the update is not a JSON object",
		"null":                                "the update is not a JSON object: it is null",
		"[1]":                                 "the update is not a JSON object",
		"{} {}":                               "the update is not a JSON object",
		`{"Env":{"a":1}}`:                     "Env of the update is not a list of texts",
		`{"Label":["a",1]}`:                   "Label of the update is not a list of texts",
		`{"memory":1,"Memory":2}`:             `the update has one key twice: as "Memory" and as "memory"`,
		`{"pidſLimit":1,"PidsLimit":2}`:       `the update has one key twice: as "PidsLimit" and as "pidſLimit"`,
		`{"BlKioWeight":1}`[:5] + `"`:         "the update is not a JSON object",
		`{"Env":["MEMORY_LIMIT=12q"]}`:        `MEMORY_LIMIT "12q": memory: not a size`,
		`{"Label":["org.example.cpus=half"]}`: `label org.example.cpus "half": cpus: not a number of processors`,
		`{"A":"` + strings.Repeat("a", 4<<20) + `"}`: "the update is larger than 4194304 bytes",
	} {
		_, err := rewrite(t, newPlugin(t, rules), body)
		assert.True(t, errdefs.IsInvalidArgument(err), "%v", err)
		assert.ErrorContains(t, err, want)
	}
}

func TestADroppedListDoesNotComeBack(t *testing.T) {
	p := newPlugin(t, `
    rules:
      - {env: CPUS, set: cpus, remove: true}
      - {key: ENV, drop: true}
      - {key: Environment, rename: Env}
`)
	text, err := rewrite(t, p, `{"Env":["CPUS=1","A=b"]}`)
	require.NoError(t, err)
	assert.JSONEq(t, `{"NanoCpus":1000000000}`, text)
	text, err = rewrite(t, p, `{"Env":["CPUS=1","A=b"],"Environment":["C=d","CPUS=2"]}`)
	require.NoError(t, err)
	assert.JSONEq(t, `{"NanoCpus":1000000000,"Env":["C=d"]}`, text)
}

func TestRulesThatMakeNoSenseAreRefusedWithTheirLine(t *testing.T) {
	for rule, want := range map[string]string{
		`when: {name: a}`: "a rule does one thing",
		`env: A`:          "the key set is missing",
		`env: A, set: memory, key: B, drop: true`:     "a rule does one thing",
		`env: A, set: shm-size`:                       "shm-size cannot be updated",
		`key: A`:                                      "give key with rename or with drop",
		`key: A, rename: B, drop: true`:               "give key with rename or with drop",
		`rename: B`:                                   "give key with rename or with drop",
		`clamp: memory`:                               "give clamp with most",
		`most: 4g`:                                    "give clamp with most",
		`clamp: memory, most: 12q`:                    `most "12q": not a size`,
		`clamp: pids-limit, most: "-1"`:               "cannot be bounded",
		`clamp: cpuset-cpus, most: "3"`:               "cannot be bounded",
		`clamp: ulimits, most: nofile=1`:              "ulimits cannot be updated",
		`clamp: memory, most: 4g, key: A, drop: true`: "a rule does one thing",
	} {
		_, err := read(t, "    rules:\n      - {"+rule+"}\n")
		assert.ErrorContains(t, err, "config.yaml:4: plugins.updatebridge.rules[0]", rule)
		assert.ErrorContains(t, err, want, rule)
	}
	for file, want := range map[string]string{
		"{path: etc/env}": "write the absolute path", "{path: /}": "write the absolute path", "{path: /a/../b}": "write the absolute path",
		"{path: /a, mode: rw}": `"rw" is no mode`, "{path: /a, mode: 04755}": "is no mode",
	} {
		_, err := read(t, "    env-file: "+file+"\n")
		assert.ErrorContains(t, err, "config.yaml:3: plugins.updatebridge.env-file", file)
		assert.ErrorContains(t, err, want, file)
	}
}

func FuzzPreUpdate(f *testing.F) {
	for _, seed := range []string{
		`{"Env":["MEMORY_LIMIT=512m"]}`, `{"memory":99999999999}`, `{"Memory":1,"ſ":1,"K":2}`, `{"Label":["org.example.cpus=1e9"]}`, `{"PidsLimit":0}`, "[]",
	} {
		f.Add(seed)
	}
	p := newPlugin(f, rules)
	f.Fuzz(func(t *testing.T, body string) {
		once, err := rewrite(t, p, body)
		if err != nil {
			return
		}
		twice, err := rewrite(t, p, once)
		require.NoError(t, err)
		assert.Equal(t, once, twice)
	})
}

func BenchmarkPreUpdate(b *testing.B) {
	p := newPlugin(b, rules)
	for b.Loop() {
		if _, err := rewrite(b, p, `{"Memory":0,"CpuShares":512,"RestartPolicy":{"Name":"always"},"Env":["MODE=test","MEMORY_LIMIT=512m"],"Label":["org.example.cpus=0.5"]}`); err != nil {
			b.Fatal(err)
		}
	}
}
