package e2e

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func (d *daemon) stats(t testing.TB, id string, o client.ContainerStatsOptions) container.StatsResponse {
	t.Helper()
	res, err := d.client.ContainerStats(testContext(t), id, o)
	require.NoError(t, err)
	defer res.Body.Close()
	var s container.StatsResponse
	require.NoError(t, json.NewDecoder(res.Body).Decode(&s))
	return s
}

func TestStats(t *testing.T) {
	onBoth(t, func(t *testing.T, d *daemon) {
		id := d.create(t, "while :; do :; done", host(func(h *container.HostConfig) { h.NetworkMode = "bridge" }))
		d.startContainer(t, id)
		s := d.stats(t, id, client.ContainerStatsOptions{IncludePreviousSample: true})
		assert.Equal(t, id, s.ID)
		assert.Greater(t, s.CPUStats.CPUUsage.TotalUsage, s.PreCPUStats.CPUUsage.TotalUsage)
		assert.Greater(t, s.CPUStats.SystemUsage, s.PreCPUStats.SystemUsage)
		assert.NotZero(t, s.MemoryStats.Usage)
		assert.NotZero(t, s.PidsStats.Current)
		assert.Contains(t, s.Networks, "eth0")
		assert.NotContains(t, s.Networks, "lo")

		res, err := d.client.ContainerStats(testContext(t), id, client.ContainerStatsOptions{Stream: true})
		require.NoError(t, err)
		defer res.Body.Close()
		samples := json.NewDecoder(res.Body)
		var first, second container.StatsResponse
		require.NoError(t, samples.Decode(&first))
		require.NoError(t, samples.Decode(&second))
		assert.InDelta(t, time.Second, second.Read.Sub(first.Read), float64(500*time.Millisecond))
		assert.Equal(t, first.Read, second.PreRead)
	})
}

// What containers share with each other, as the docker command asks for it.
func TestDockerContainersShare(t *testing.T) {
	onBoth(t, func(t *testing.T, d *daemon) {
		c := dockerCLI(t, d)
		name := "donor-" + string(d.kind())
		c.ok("run", "-d", "--name", name, "--network", "none", "--ipc", "shareable", "-v", "/anonymous", "box", "sh", "-c", "echo volume > /anonymous/f; echo memory > /dev/shm/f; sleep 1000")
		defer c.do("rm", "-f", "-v", name)
		require.NoError(t, waitFor(time.Minute, func() bool { return c.do("exec", name, "cat", "/dev/shm/f").code == 0 }))
		run := func(args ...string) string {
			t.Helper()
			return c.ok(append([]string{"run", "--rm", "--network", "none"}, args...)...)
		}
		assert.Equal(t, "memory", run("--ipc", "container:"+name, "box", "cat", "/dev/shm/f"))
		assert.Equal(t, "volume", run("--volumes-from", name, "box", "cat", "/anonymous/f"))
		assert.Contains(t, run("--pid", "container:"+name, "box", "ps"), "sleep 1000")
		assert.Contains(t, c.do("run", "--rm", "--volumes-from", name+":ro", "box", "touch", "/anonymous/x").stderr, "read-only file system")
		assert.Equal(t, "kept", run("--log-driver", "local", "box", "echo", "kept"))
		logged := c.ok("run", "-d", "--network", "none", "--log-driver", "local", "box", "echo", "logged")
		c.ok("wait", logged)
		assert.Equal(t, "logged", c.ok("logs", logged))
		c.ok("rm", logged)
		assert.Contains(t, c.do("run", "--rm", "--gpus", "all", "box", "true").stderr, "--gpus")
		assert.Contains(t, c.do("run", "--rm", "--storage-opt", "size=1G", "box", "true").stderr, "--storage-opt")
	})
}
