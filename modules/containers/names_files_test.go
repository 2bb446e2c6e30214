package containers

import (
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/moby/moby/api/types/container"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pouchfx/pouchfx/modules/networks"
	"github.com/pouchfx/pouchfx/types"
)

func TestHostsHoldsTheContainersOwnAddresses(t *testing.T) {
	config := &types.ContainerConfig{Config: container.Config{Hostname: "web", Domainname: "example.org"}}
	h := &types.HostConfig{ExtraHosts: []string{"db:10.0.0.7", "host.docker.internal:host-gateway", "six=[fe80::1]"}}
	names := networks.Names{
		Addresses: []netip.Addr{netip.MustParseAddr("172.18.0.2"), netip.MustParseAddr("fd00::2")},
		Gateway:   netip.MustParseAddr("172.18.0.1"),
	}
	assert.Equal(t, localHosts+"10.0.0.7\tdb\n172.18.0.1\thost.docker.internal\nfe80::1\tsix\n"+
		"172.18.0.2\tweb.example.org web\nfd00::2\tweb.example.org web\n", string(hosts(config, h, names)))
	assert.Equal(t, localHosts+"10.0.0.7\tdb\nfe80::1\tsix\n127.0.1.1\tweb.example.org web\n", string(hosts(config, h, networks.Names{})))
	h.NetworkMode = "host"
	assert.Contains(t, string(hosts(config, h, networks.Names{})), "127.0.0.1\thost.docker.internal\n")
}

func TestExtraHosts(t *testing.T) {
	for text, want := range map[string]string{
		"a:1.2.3.4": "a 1.2.3.4", "a=1.2.3.4": "a 1.2.3.4", "a:::1": "a ::1", "a:[::1]": "a ::1", "a:host-gateway": "a invalid IP",
		"a": "", ":1.2.3.4": "", "a:": "", "a b:1.2.3.4": "", "a:x": "", "a\n:1.2.3.4": "",
	} {
		name, address, err := parseExtraHost(text)
		if want == "" {
			assert.Error(t, err, text)
			continue
		}
		require.NoError(t, err, text)
		assert.Equal(t, want, name+" "+address.String(), text)
	}
}

func TestResolvConfIsMadeOfTheNamesOfTheNetworks(t *testing.T) {
	names := networks.Names{Servers: []netip.Addr{netip.MustParseAddr("127.0.0.11")}, Search: []string{"a", "b"}, Options: []string{"ndots:0"}}
	assert.Equal(t, "nameserver 127.0.0.11\nsearch a b\noptions ndots:0\n", string(resolvConf(names)))
	names.Search = []string{"."}
	assert.Equal(t, "nameserver 127.0.0.11\noptions ndots:0\n", string(resolvConf(names)))
}

func TestFilesAreRewrittenInTheirPlaceAndKeepWhatOthersWrote(t *testing.T) {
	path := filepath.Join(t.TempDir(), "hosts")
	require.NoError(t, overwrite(path, []byte("1 a\n2 b\n")))
	before, err := os.Stat(path)
	require.NoError(t, err)
	require.NoError(t, overwrite(path, []byte("1 a\n")))
	read := func() string {
		text, err := os.ReadFile(path)
		require.NoError(t, err)
		return string(text)
	}
	assert.Equal(t, "1 a\n", read())
	require.NoError(t, overwrite(path, []byte("1 a\n9 mine")))
	require.NoError(t, rewrite(path, func(text []byte) []byte { return replaceLines(text, []byte("1 a\n0 x\n"), []byte("0 x\n3 c\n")) }))
	assert.Equal(t, "9 mine\n3 c\n", read())
	after, err := os.Stat(path)
	require.NoError(t, err)
	assert.True(t, os.SameFile(before, after), "it is bound into the container")

	large := strings.Repeat("x", maxNames+1)
	require.NoError(t, overwrite(path, []byte(large)))
	require.NoError(t, rewrite(path, func([]byte) []byte { return nil }))
	assert.Equal(t, large, read(), "what a container blows up is left alone")
}
