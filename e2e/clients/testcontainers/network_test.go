package testcontainers

import (
	"io"
	"testing"

	mobynetwork "github.com/moby/moby/api/types/network"
	"github.com/moby/moby/client"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/testcontainers/testcontainers-go"
	"github.com/testcontainers/testcontainers-go/exec"
	"github.com/testcontainers/testcontainers-go/network"
	"github.com/testcontainers/testcontainers-go/wait"
)

var volumeInspectOptions client.VolumeInspectOptions

// fetch is a script that fetches a page.
func fetch(host, page string) []string {
	return []string{"sh", "-c", `printf "GET ` + page + ` HTTP/1.0\r\n\r\n" | nc ` + host + ` 8000`}
}

func output(t *testing.T, c testcontainers.Container, command []string, options ...exec.ProcessOption) (int, string) {
	t.Helper()
	code, reader, err := c.Exec(limited(t), command, append(options, exec.Multiplexed())...)
	require.NoError(t, err)
	text, err := io.ReadAll(reader)
	require.NoError(t, err)
	return code, string(text)
}

// The network example of the library's documentation: containers find each
// other by alias.
func TestNetworkWithAliases(t *testing.T) {
	ctx := limited(t)
	first, err := network.New(ctx, network.WithLabels(map[string]string{"which": "first"}), network.WithAttachable())
	testcontainers.CleanupNetwork(t, first)
	require.NoError(t, err)
	second, err := network.New(ctx, network.WithInternal())
	testcontainers.CleanupNetwork(t, second)
	require.NoError(t, err)

	const serve = "echo served > /tmp/page; httpd :8000 /tmp"
	web := run(t, serve, network.WithNetwork([]string{"web", "www"}, first), network.WithNetwork([]string{"inner"}, second),
		testcontainers.WithExposedPorts("8000/tcp"), testcontainers.WithWaitStrategy(wait.ForListeningPort("8000/tcp")))
	peer := run(t, "sleep 1000", network.WithNetwork([]string{"peer"}, first))
	inner := run(t, "sleep 1000", network.WithNetwork(nil, second))
	stranger := run(t, "sleep 1000", network.WithNewNetwork(ctx, []string{"stranger"}))

	for _, name := range []string{"web", "www"} {
		code, text := output(t, peer, fetch(name, "/page"))
		assert.Zero(t, code, text)
		assert.Contains(t, text, "\r\n\r\nserved\n", name)
	}
	_, text := output(t, inner, fetch("inner", "/page"))
	assert.Contains(t, text, "\r\n\r\nserved\n")
	for _, c := range []testcontainers.Container{stranger, inner} {
		code, text := output(t, c, fetch("web", "/page"))
		assert.NotZero(t, code, "a name of another network: %s", text)
	}

	aliases, err := web.NetworkAliases(ctx)
	require.NoError(t, err)
	assert.Subset(t, aliases[first.Name], []string{"web", "www"})
	assert.Subset(t, aliases[second.Name], []string{"inner"})
	ips, err := web.ContainerIPs(ctx)
	require.NoError(t, err)
	assert.Len(t, ips, 2)
}

func TestNetworkWithASubnetOfItsOwn(t *testing.T) {
	n, err := network.New(limited(t), network.WithIPAM(&mobynetwork.IPAM{Config: []mobynetwork.IPAMConfig{{Subnet: prefix("10.211.3.0/24"), Gateway: address("10.211.3.254")}}}))
	testcontainers.CleanupNetwork(t, n)
	require.NoError(t, err)
	c := run(t, "sleep 1000", network.WithNetwork([]string{"one"}, n))
	ip, err := c.ContainerIP(limited(t))
	require.NoError(t, err)
	assert.True(t, prefix("10.211.3.0/24").Contains(address(ip)), ip)
}
