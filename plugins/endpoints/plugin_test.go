package endpoints_test

import (
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/moby/moby/api/types/network"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pouchfx/pouchfx/modules/config"
	"github.com/pouchfx/pouchfx/networktypes"
	"github.com/pouchfx/pouchfx/plugins"
	"github.com/pouchfx/pouchfx/plugins/endpoints"
	"github.com/pouchfx/pouchfx/plugins/plugintest"
)

const rules = `
    rules:
      - network: front
        mac: "02:42:ac"
        priority: 100
      - when: {name: db-*, image: db, labels: {tier: back}}
        dns: [10.0.0.53]
        dns-search: [db.example.org]
        dns-options: ["ndots:2"]
        disable-resolver: true
      - env: {TIER: front|back, LEGACY: "!yes"}
        network: "!bridge"
        args: {CLASS: gold}
`

// read decodes a section as the daemon does.
func read(t testing.TB, section string) (endpoints.Config, error) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "config.yaml")
	require.NoError(t, os.WriteFile(file, []byte("plugins:\n  endpoints:\n"+section), 0o600))
	c, err := config.Load(file, nil, nil)
	require.NoError(t, err)
	var decoded endpoints.Config
	policy := plugins.DefaultPolicy()
	err = c.Plugin("endpoints", &policy, &decoded)
	return decoded, err
}

func newPlugin(t testing.TB, section string) *endpoints.Plugin {
	t.Helper()
	c, err := read(t, section)
	require.NoError(t, err)
	p, err := endpoints.New(c)
	require.NoError(t, err)
	return p
}

func on(name string) *networktypes.Endpoint {
	return &networktypes.Endpoint{Network: name, EndpointConfig: &network.EndpointSettings{}}
}

func TestThePluginKeepsTheContract(t *testing.T) {
	plugintest.Run(t, endpoints.Module, plugintest.Config(strings.ReplaceAll(rules, "\n    ", "\n")), plugintest.Endpoints(on("front")))
}

func TestRulesChangeTheEndpointsThatTheyAreFor(t *testing.T) {
	p := newPlugin(t, rules)
	ctx := plugins.WithRequest(t.Context(), plugins.Request{Name: "db-1", Image: "db", Labels: map[string]string{"tier": "back"}})

	front := on("front")
	for range 2 { // and again, for nothing piles up
		require.NoError(t, p.PreCreateEndpoint(ctx, "id", []string{"TIER=back"}, front))
		assert.Regexp(t, "^02:42:ac:..:..:..$", front.EndpointConfig.MacAddress.String())
		assert.Equal(t, 100, front.Priority)
		assert.Equal(t, []netip.Addr{netip.MustParseAddr("10.0.0.53")}, front.DNS)
		assert.Equal(t, []string{"db.example.org"}, front.DNSSearch)
		assert.Equal(t, []string{"ndots:2"}, front.DNSOptions)
		assert.True(t, front.DisableResolver)
		assert.Equal(t, map[string]any{"CLASS": "gold"}, front.GenericParams)
	}
	next := on("front")
	require.NoError(t, p.PreCreateEndpoint(t.Context(), "id", nil, next))
	assert.Equal(t, front.EndpointConfig.MacAddress, next.EndpointConfig.MacAddress, "the next start has the same")
	require.NoError(t, p.PreCreateEndpoint(t.Context(), "other", nil, on("front")))

	for about, env := range map[string][]string{
		"no variable": nil, "another value": {"TIER=side"}, "an excluded value": {"TIER=back", "LEGACY=yes"}, "an earlier value": {"TIER=back", "TIER=side"},
	} {
		e := on("back")
		require.NoError(t, p.PreCreateEndpoint(t.Context(), "id", env, e))
		assert.Equal(t, on("back"), e, about)
	}
	bridge := on("bridge")
	require.NoError(t, p.PreCreateEndpoint(t.Context(), "id", []string{"TIER=back"}, bridge))
	assert.Equal(t, on("bridge"), bridge)
}

func TestContainersDifferInTheirAddresses(t *testing.T) {
	p, seen := newPlugin(t, "    rules: [{mac: \"02:42:ac\"}]\n"), map[string]bool{}
	for _, id := range []string{"a", "b"} {
		for _, name := range []string{"front", "back"} {
			e := on(name)
			require.NoError(t, p.PreCreateEndpoint(t.Context(), id, nil, e))
			seen[e.EndpointConfig.MacAddress.String()] = true
		}
	}
	assert.Len(t, seen, 4)
}

func TestWhatIsSetStaysUnlessOverridden(t *testing.T) {
	own := func() *networktypes.Endpoint {
		e := on("front")
		e.EndpointConfig.MacAddress, e.Priority = network.HardwareAddr{2, 0, 0, 0, 0, 1}, 5
		e.DNS, e.DNSSearch, e.DNSOptions = []netip.Addr{netip.MustParseAddr("::1")}, []string{"own"}, []string{"debug"}
		e.GenericParams = map[string]any{"CLASS": "own"}
		return e
	}
	rule := `mac: "02:42:ac:00:00:09", priority: 0, dns: [10.0.0.53], dns-search: [a], dns-options: [b], args: {CLASS: gold}}]` + "\n"
	e := own()
	require.NoError(t, newPlugin(t, "    rules: [{"+rule).PreCreateEndpoint(t.Context(), "id", nil, e))
	assert.Equal(t, own(), e)

	require.NoError(t, newPlugin(t, "    rules: [{override: true, "+rule).PreCreateEndpoint(t.Context(), "id", nil, e))
	assert.Equal(t, &networktypes.Endpoint{
		Network: "front", EndpointConfig: &network.EndpointSettings{MacAddress: network.HardwareAddr{2, 0x42, 0xac, 0, 0, 9}},
		DNS: []netip.Addr{netip.MustParseAddr("10.0.0.53")}, DNSSearch: []string{"a"}, DNSOptions: []string{"b"},
		GenericParams: map[string]any{"CLASS": "gold"},
	}, e)
}

func TestRulesThatMakeNoSenseAreRefusedWithTheirLine(t *testing.T) {
	for rule, want := range map[string]string{
		`network: front`:                              "the rule does nothing",
		`mac: "01:42:ac"`:                             `"01:42:ac" is no address of an interface`,
		`mac: "02:42"`:                                "is no address",
		`mac: "02:42:ac:00:00:00:00:01"`:              "is no address",
		`dns: [nowhere]`:                              "nowhere",
		`args: {MAC: a}`:                              `"MAC" is not for rules`,
		`args: {A B: a}`:                              "cannot be an argument of CNI",
		`args: {A: "a;b"}`:                            "cannot be an argument of CNI",
		`priority: 1, env: {A: ""}`:                   "the pattern is empty",
		`priority: 1, disable-resolver: true, nic: 1`: `unknown key "nic"`,
	} {
		_, err := read(t, "    rules:\n      - {"+rule+"}\n")
		assert.ErrorContains(t, err, "config.yaml:4: plugins.endpoints.rules[0]", rule)
		assert.ErrorContains(t, err, want, rule)
	}
}

func FuzzMAC(f *testing.F) {
	for _, seed := range []string{"02:42:ac", "02:42:ac:00:00:01", "0242.ac11.0002", "", "02-42-ac-00-00-01"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		var m endpoints.MAC
		if m.UnmarshalText([]byte(text)) == nil {
			assert.Contains(t, []int{3, 6}, len(m))
			assert.Zero(t, m[0]&1)
		}
	})
}

func BenchmarkPreCreateEndpoint(b *testing.B) {
	p := newPlugin(b, rules)
	ctx := plugins.WithRequest(b.Context(), plugins.Request{Name: "db-1", Image: "db", Labels: map[string]string{"tier": "back"}})
	env := []string{"PATH=/usr/bin:/bin", "MODE=production", "TIER=front"}
	for b.Loop() {
		if err := p.PreCreateEndpoint(ctx, "3f4ac8f6bd1e9f3b0c5f1a8d2e7c6b5a", env, on("front")); err != nil {
			b.Fatal(err)
		}
	}
}
