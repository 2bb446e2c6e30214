package e2e

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/api/types/container"
	networktypes "github.com/moby/moby/api/types/network"
	"github.com/moby/moby/client"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	types "github.com/pouchfx/pouchfx/networktypes"
)

// onPluginDaemons runs a test on the daemon with plugins, for each engine.
func onPluginDaemons(t *testing.T, config string, f func(t *testing.T, d *daemon, record string)) {
	onEngines(t, func(t *testing.T, e engine) {
		d, record := pluginDaemon(t, e, config)
		d.load(t, "box")
		f(t, d, record)
	})
}

// looking is a runtime hook that writes which interfaces the container has into
// a file of that name.
func looking(dir, name string, priority int) string {
	script := fmt.Sprintf(`pid=$(sed -n 's/.*"pid":\([0-9]*\).*/\1/p'); echo %s $(sed -n 's/^ *\([a-z0-9]*\):.*/\1/p' /proc/$pid/net/dev) >> %s/seen`, name, dir)
	return fmt.Sprintf("{priority: %d, args: [/bin/sh, sh, -c, %q]}", priority, script)
}

func TestRuntimeHooksSeeTheNetworkByTheirPriority(t *testing.T) {
	dir := t.TempDir()
	// The plugin "moody" comes before "second": of one priority its hook is first.
	config := fmt.Sprintf("plugins:\n  moody:\n    policy: {priority: 10}\n    hooks: [%s, %s]\n  second:\n    hooks: [%s, %s]\n",
		looking(dir, "below", -10), looking(dir, "tied", 0), looking(dir, "tied-too", 0), looking(dir, "above", 10))
	onPluginDaemons(t, config, func(t *testing.T, d *daemon, _ string) {
		bind := host(func(h *container.HostConfig) { h.Binds = []string{dir + ":/hooks"} })
		for mode, want := range map[string]string{
			"bridge": "above lo\ntied eth0 lo\ntied-too eth0 lo\nbelow eth0 lo\n",
			"none":   "above lo\ntied lo\ntied-too lo\nbelow lo\n",
		} {
			require.NoError(t, os.RemoveAll(filepath.Join(dir, "seen")))
			r := d.run(t, "cat /hooks/seen; ifaces", network(mode), bind)
			seen, _, _ := strings.Cut(r.stdout, "lo  ")
			for _, line := range strings.Split(strings.TrimSuffix(seen, "\n"), "\n") {
				words := strings.Fields(line)
				require.NotEmpty(t, words, r.stdout)
				assert.Contains(t, want, words[0]+" "+strings.Join(sorted(words[1:]), " ")+"\n", mode)
			}
			assert.Equal(t, names(want), names(seen), "the order is that of the priorities")
			require.Zero(t, r.code)
		}
	})
}

func sorted(words []string) []string {
	if len(words) == 2 && words[0] > words[1] {
		words[0], words[1] = words[1], words[0]
	}
	return words
}

// names are the first words of lines.
func names(text string) (first []string) {
	for line := range strings.Lines(text) {
		word, _, _ := strings.Cut(line, " ")
		first = append(first, word)
	}
	return first
}

func TestTheNetworkHasItsTurnAlsoWhereAllHooksAreOnOneSide(t *testing.T) {
	dir := t.TempDir()
	for priority, want := range map[int]bool{10: false, 0: true, -1: true} {
		t.Run(fmt.Sprint(priority), func(t *testing.T) {
			require.NoError(t, os.RemoveAll(filepath.Join(dir, "seen")))
			d, _ := pluginDaemon(t, embedded, fmt.Sprintf("plugins:\n  moody:\n    hooks: [%s]\n", looking(dir, "hook", priority)))
			d.load(t, "box")
			r := d.run(t, "ifaces", network("bridge"))
			assert.Contains(t, r.stdout, "eth0 ", "the container has its network in any case")
			seen, err := os.ReadFile(filepath.Join(dir, "seen"))
			require.NoError(t, err)
			assert.Equal(t, want, strings.Contains(string(seen), "eth0"), "%s", seen)
		})
	}
}

func TestANetworkThatFailsAmongTheHooksFailsTheStart(t *testing.T) {
	dir := t.TempDir()
	config := fmt.Sprintf("plugins:\n  moody:\n    hooks: [%s, %s]\n", looking(dir, "above", 1), looking(dir, "below", -1))
	onPluginDaemons(t, config, func(t *testing.T, d *daemon, _ string) {
		empty := d.traces(t)
		require.NoError(t, os.RemoveAll(filepath.Join(dir, "seen")))
		// The same port twice, of one container.
		id := d.create(t, "true", host(func(h *container.HostConfig) {
			h.NetworkMode = "bridge"
			h.PortBindings = networktypes.PortMap{
				networktypes.MustParsePort("80"): {{HostPort: "18090"}}, networktypes.MustParsePort("81"): {{HostPort: "18090"}},
			}
		}))
		before := d.inspect(t, id).State
		_, err := d.client.ContainerStart(testContext(t), id, client.ContainerStartOptions{})
		require.ErrorContains(t, err, "port is already allocated")
		assert.NotContains(t, err.Error(), "OCI runtime", "the daemon knows better than the runtime what went wrong")
		after := d.inspect(t, id).State
		assert.Equal(t, before.Status, after.Status)
		assert.Equal(t, before.StartedAt, after.StartedAt)
		seen, err := os.ReadFile(filepath.Join(dir, "seen"))
		require.NoError(t, err)
		assert.Equal(t, "above lo\n", string(seen), "hooks behind the network did not run")
		_, err = d.client.ContainerRemove(testContext(t), id, client.ContainerRemoveOptions{})
		require.NoError(t, err)
		assert.Equal(t, empty, d.traces(t))
	})
}

func TestEndpointsAreWhatTheHooksMakeOfThem(t *testing.T) {
	onPluginDaemons(t, twoPlugins, func(t *testing.T, d *daemon, record string) {
		one, two := d.network(t, client.NetworkCreateOptions{}), d.network(t, client.NetworkCreateOptions{
			IPAM: &networktypes.IPAM{Config: []networktypes.IPAMConfig{{Subnet: netip.MustParsePrefix("10.89.3.0/24")}}},
		})
		id := d.runs(t, network(one), endpoint(one, &networktypes.EndpointSettings{GwPriority: 3}), endpoint(two, &networktypes.EndpointSettings{}),
			host(func(h *container.HostConfig) { h.DNSOptions = []string{"timeout:1"} }),
			endpointMood(one, "dns=10.1.2.3 search=hook.example option=attempts:2 resolver=off owner=x"),
			endpointMood(two, "mac=02:42:00:00:00:17 priority=9 ip=10.89.3.44 alias=hooked param=colour:blue"))

		// What the hooks got: everything is set.
		got := endpointsOf(t, record, id)
		require.Len(t, got, 2)
		assert.Equal(t, id, got[one].Owner)
		assert.Equal(t, 3, got[one].Priority, "from GwPriority")
		assert.Equal(t, []string{"timeout:1"}, got[one].DNSOptions)
		require.NotNil(t, got[two].EndpointConfig)
		assert.NotNil(t, got[two].GenericParams)
		assert.NotEmpty(t, got[two].EndpointConfig.NetworkID)

		// What the container has.
		ifaces := lines(d.ok(t, id, "ifaces"))
		require.Len(t, ifaces, 3)
		assert.Equal(t, "eth0 02:42:00:00:00:17 10.89.3.44/24", ifaces[1], "the bigger priority comes first")
		assert.Equal(t, "eth0 10.89.3.1", d.ok(t, id, "ifaces gateway"))
		resolv := d.ok(t, id, "cat /etc/resolv.conf")
		assert.Equal(t, "nameserver 10.1.2.3\nsearch hook.example\noptions attempts:2", resolv, "without the embedded server")
		c := d.inspect(t, id)
		assert.Contains(t, c.NetworkSettings.Networks[two].Aliases, "hooked")
		assert.Contains(t, c.NetworkSettings.Networks, one, "owner and network are not for a plugin to choose")

		// None of it stays behind: the next start asks again.
		_, err := d.client.ContainerStop(testContext(t), id, client.ContainerStopOptions{Timeout: new(int)})
		require.NoError(t, err)
		asked := d.inspect(t, id).NetworkSettings.Networks
		assert.Empty(t, asked[two].MacAddress)
		assert.NotContains(t, asked[two].Aliases, "hooked")
		assert.Equal(t, 2, strings.Count(read(t, record), "endpoint "+id), "never at teardown")
		d.startContainer(t, id)
		assert.Equal(t, 4, strings.Count(read(t, record), "endpoint "+id))
		assert.Contains(t, d.ok(t, id, "ifaces"), "02:42:00:00:00:17")

		// The same for a connect.
		third := d.network(t, client.NetworkCreateOptions{})
		other := d.runs(t, network(one), endpointMood(third, "mac=02:42:00:00:00:18 alias=late"))
		_, err = d.client.NetworkConnect(testContext(t), third, client.NetworkConnectOptions{Container: other})
		require.NoError(t, err)
		assert.Contains(t, d.ok(t, other, "ifaces"), "02:42:00:00:00:18")
		assert.NotEmpty(t, d.ok(t, other, "resolve late"))
		require.Contains(t, endpointsOf(t, record, other), third)
	})
}

// endpointsOf are the endpoints that the hooks got for a container, before they
// changed them, by network.
func endpointsOf(t *testing.T, record, id string) map[string]types.Endpoint {
	t.Helper()
	found := map[string]types.Endpoint{}
	for line := range strings.Lines(read(t, record)) {
		text, ok := strings.CutPrefix(line, "endpoint "+id+" ")
		if !ok {
			continue
		}
		var e types.Endpoint
		require.NoError(t, json.Unmarshal([]byte(text), &e))
		found[e.Network] = e
	}
	return found
}

func read(t *testing.T, file string) string {
	t.Helper()
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	return string(text)
}

func TestARefusedEndpointRollsBack(t *testing.T) {
	onPluginDaemons(t, twoPlugins, func(t *testing.T, d *daemon, _ string) {
		n := d.network(t, client.NetworkCreateOptions{})
		empty := d.traces(t)
		for mood, want := range map[string]string{
			"error": `plugin "moody": PreCreateEndpoint: moody today`, "panic": "moody panics", "hang": "400ms", "garbage": "MAC address",
		} {
			id := d.create(t, "httpd :80 /etc", network("bridge"), endpoint("bridge", &networktypes.EndpointSettings{}),
				endpoint(n, &networktypes.EndpointSettings{}), endpointMood(n, "mood="+mood))
			_, err := d.client.ContainerStart(testContext(t), id, client.ContainerStartOptions{})
			require.ErrorContains(t, err, want)
			assert.Equal(t, container.StateCreated, d.inspect(t, id).State.Status, mood)

			// A connect that is refused leaves the container as it was.
			_, err = d.client.NetworkDisconnect(testContext(t), n, client.NetworkDisconnectOptions{Container: id})
			require.NoError(t, err)
			d.startContainer(t, id)
			before := d.ok(t, id, "ifaces; cat /etc/hosts /etc/resolv.conf")
			_, err = d.client.NetworkConnect(testContext(t), n, client.NetworkConnectOptions{Container: id})
			require.ErrorContains(t, err, want)
			if mood == "error" {
				assert.True(t, errdefs.IsPermissionDenied(err), "the plugin's class is the answer's: %v", err)
			}
			assert.Equal(t, before, d.ok(t, id, "ifaces; cat /etc/hosts /etc/resolv.conf"))
			assert.NotContains(t, d.inspect(t, id).NetworkSettings.Networks, n)
			_, err = d.client.ContainerRemove(testContext(t), id, client.ContainerRemoveOptions{Force: true})
			require.NoError(t, err)
		}
		assert.Equal(t, empty, d.traces(t))
	})
}
