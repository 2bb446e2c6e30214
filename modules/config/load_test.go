package config

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/spf13/pflag"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// load loads a configuration whose file has the given text.
func load(t *testing.T, text string) (*Config, error) {
	t.Helper()
	return Load(write(t, text), nil, nil)
}

func write(t *testing.T, text string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "config.yaml")
	require.NoError(t, os.WriteFile(file, []byte(text), 0o600))
	return file
}

func TestDefaultsHoldWithoutSources(t *testing.T) {
	c, err := load(t, "")
	require.NoError(t, err)
	want := Default()
	assert.Equal(t, want.Hosts, c.Hosts)
	assert.Equal(t, want.DataRoot, c.DataRoot)
	assert.Equal(t, time.Minute, c.StartTimeout)
}

func TestLaterSourcesWin(t *testing.T) {
	file := write(t, "data-root: /file\nexec-root: /file-run\nlog-level: debug\nhosts: [unix:///file.sock]\n")
	flags := pflag.NewFlagSet("serve", pflag.ContinueOnError)
	AddFlags(flags)
	require.NoError(t, flags.Parse([]string{"--log-level=warn", "-H", "unix:///a.sock", "-H", "unix:///b.sock", "--stop-timeout", "7s"}))

	c, err := Load(file, []string{"POUCHFX_EXEC_ROOT=/env-run", "POUCHFX_LOG_LEVEL=error", "POUCHFX_LIVE_RESTORE=false", "HOME=/root"}, flags)

	require.NoError(t, err)
	assert.Equal(t, "/file", c.DataRoot)
	assert.Equal(t, "/env-run", c.ExecRoot)
	assert.Equal(t, "warn", c.LogLevel)
	assert.Equal(t, []string{"unix:///a.sock", "unix:///b.sock"}, c.Hosts)
	assert.Equal(t, 7*time.Second, c.StopTimeout)
	assert.False(t, c.LiveRestore)
}

func TestListsInTheEnvironmentAreSeparatedByCommas(t *testing.T) {
	c, err := Load(write(t, ""), []string{"POUCHFX_INSECURE_REGISTRIES=a.example:5000, 10.0.0.0/8,"}, nil)
	require.NoError(t, err)
	assert.Equal(t, []string{"a.example:5000", "10.0.0.0/8"}, c.InsecureRegistries)
}

func TestEverySettingHasAFlagAndAName(t *testing.T) {
	flags := pflag.NewFlagSet("serve", pflag.ContinueOnError)
	AddFlags(flags)
	for _, s := range settings {
		assert.NotNil(t, flags.Lookup(s.flagName()), s.key)
	}
	_, err := Load(write(t, ""), nil, flags)
	assert.NoError(t, err, "flags that were not given change nothing")
}

func TestMistakesInTheEnvironmentAreNamed(t *testing.T) {
	_, err := Load(write(t, ""), []string{"POUCHFX_DATAROOT=/x", "POUCHFX_TLSVERIFY=on please", "POUCHFX_SERVICE_ADDRESS=tcp://10.1.2.3"}, nil)
	assert.EqualError(t, err, "environment variable POUCHFX_DATAROOT is unknown: did you mean POUCHFX_DATA_ROOT?\n"+
		"environment variable POUCHFX_TLSVERIFY: \"on please\" is not true or false")
}

func TestAFileThatWasAskedForMustExist(t *testing.T) {
	_, err := Load(filepath.Join(t.TempDir(), "absent.yaml"), nil, nil)
	require.ErrorIs(t, err, os.ErrNotExist)
	assert.ErrorContains(t, err, "absent.yaml")
}

func TestAHugeFileIsRefused(t *testing.T) {
	_, err := load(t, "# "+string(make([]byte, maxFileSize)))
	assert.ErrorContains(t, err, "larger than 1048576 bytes")
}

func TestMistakesInTheFileAreNamedWithLineAndKey(t *testing.T) {
	tests := map[string]struct{ text, want string }{
		"unknown key":           {"\ndata-rot: /x\n", `:2: unknown key "data-rot": did you mean "data-root"?`},
		"unlike any key":        {"zzz: 1\n", `:1: unknown key "zzz": use one of plugins, hosts, data-root`},
		"key twice":             {"group: a\ngroup: b\n", `:2: key "group" is here for the second time: the first is in line 1`},
		"text for a list":       {"hosts: unix:///x\n", `:1: hosts: "unix:///x" is not a list`},
		"mapping in a list":     {"hosts:\n  - {a: b}\n", ":2: hosts[0]: must be a text, not a mapping"},
		"truth for a text":      {"group: true\n", `:1: group: "true" is not a text`},
		"text for a truth":      {"tlsverify: maybe\n", `:1: tlsverify: "maybe" is not true or false`},
		"nothing for a text":    {"data-root:\n", ":1: data-root: has no value: give a text, or leave the key out"},
		"number for a duration": {"stop-timeout: 10\n", `:1: stop-timeout: "10" is not a duration: a number with a unit, such as 500ms, 10s or 1m30s`},
		"duration of nothing":   {"stop-timeout: 0s\n", ":1: stop-timeout: 0s: must be longer than nothing"},
		"relative root":         {"data-root: pouchfx\n", `:1: data-root: "pouchfx": must be an absolute path`},
		"root directory":        {"exec-root: /\n", `:1: exec-root: "/": must not be the root directory`},
		"same roots":            {"exec-root: /var/lib/pouchfx/\n", "is the data-root too"},
		"no hosts":              {"hosts: []\n", ":1: hosts: the API needs at least one address"},
		"host without scheme":   {"\nhosts: [localhost]\n", `:2: hosts: "localhost": use unix:///path, tcp://address:port`},
		"open tcp host":         {"hosts: [tcp://127.0.0.1:2375]\n", "insist with insecure-tcp"},
		"tcp port too big":      {"hosts: [tcp://127.0.0.1:65536]\ninsecure-tcp: true\n", "with a port up to 65535"},
		"tcp without port":      {"hosts: [tcp://127.0.0.1]\n", "write tcp://address:port"},
		"half of tls":           {"tlscert: /c\n", "tlscert and tlskey belong together"},
		"tlsverify alone":       {"tlsverify: true\n", ":1: tlsverify: it needs tlscacert, tlscert and tlskey as well"},
		"registry with scheme":  {"insecure-registries: ['http://x']\n", "without a scheme"},
		"open metrics":          {"metrics-addr: 0.0.0.0:9323\n", ":1: metrics-addr: \"0.0.0.0:9323\": whoever reaches this address may read the metrics"},
		"metrics by name":       {"metrics-addr: node.example:9323\n", "insist with insecure-metrics"},
		"metrics everywhere":    {"metrics-addr: :9323\n", "insist with insecure-metrics"},
		"metrics without port":  {"metrics-addr: 127.0.0.1\n", "write host:port or unix:///path"},
		"metrics at the API":    {"hosts: [unix:///x]\nmetrics-addr: unix:///x\n", "use another path"},
		"metrics path":          {"metrics-addr: unix://x\n", "needs an absolute path"},
		"log level":             {"log-level: loud\n", `:1: log-level: "loud": use debug, info, warn, error`},
		"no yaml":               {"a: [\n", ":1: did not find expected node content"},
		"no mapping":            {"- a\n", ":1: the file must be a mapping"},
		"two documents":         {"group: a\n---\ngroup: b\n", "a second document begins"},
		"alias":                 {"hosts: &h [unix:///a]\ninsecure-registries: *h\n", ":2: aliases are not allowed"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			c, err := load(t, test.text)
			require.Error(t, err)
			assert.Nil(t, c)
			assert.Contains(t, err.Error(), test.want)
			assert.Contains(t, err.Error(), "config.yaml:")
		})
	}
}

func TestAllMistakesAreReportedAtOnce(t *testing.T) {
	_, err := load(t, "data-rot: /x\ntlsverify: maybe\n")
	require.Error(t, err)
	assert.Contains(t, err.Error(), ":1: ")
	assert.Contains(t, err.Error(), ":2: ")
}

func TestTCPHostsAreAllowedWhenAskedFor(t *testing.T) {
	_, err := load(t, "hosts: [tcp://127.0.0.1:2375]\ninsecure-tcp: true\n")
	assert.NoError(t, err)
	_, err = load(t, "hosts: ['tcp://[::1]:2376']\ntlsverify: true\ntlscacert: /a\ntlscert: /b\ntlskey: /c\n")
	assert.NoError(t, err)
}

func TestMetricsAreServedOnThisMachineOrWhereAskedFor(t *testing.T) {
	for _, text := range []string{
		"metrics-addr: 127.0.0.1:9323\n", "metrics-addr: '[::1]:0'\n", "metrics-addr: localhost:9323\n", "metrics-addr: unix:///run/m.sock\n",
		"metrics-addr: 0.0.0.0:9323\ninsecure-metrics: true\n",
	} {
		_, err := load(t, text)
		assert.NoError(t, err, text)
	}
}

func TestTheExampleNamesEverySettingWithItsDefault(t *testing.T) {
	c, err := Load("../../examples/config.yaml", nil, nil)
	require.NoError(t, err)
	want := Default()
	for _, s := range settings {
		assert.Contains(t, c.origin, s.key)
		if _, list := s.field(c).(*[]string); !list {
			assert.Equal(t, s.field(&want), s.field(c), s.key)
		}
	}
	assert.Equal(t, want.Hosts, c.Hosts)
}
