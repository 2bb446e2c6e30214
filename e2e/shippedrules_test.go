package e2e

import (
	"archive/tar"
	"context"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"github.com/containerd/errdefs"
	"github.com/docker/go-units"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const fourPluginsOfRules = `
plugins:
  envlimits:
    rules:
      - {env: MEMORY_LIMIT, set: memory, remove: true}
      - {env: CPU_LIMIT, set: cpus}
      - {label: org.example.files, set: ulimits.nofile}
      - {env: BACKLOG, set: sysctls.net.core.somaxconn}
      - {env: PIDS, set: pids-limit}
      - {env: SHM, set: shm-size}
      - {env: OOM, set: oom-score-adj}
  endpoints:
    rules:
      - when: {image: box, labels: {tier: back}}
        network: net*
        env: {CPU_LIMIT: "*"}
        mac: "02:42:ac"
        dns-search: [back.example.org]
  updatebridge:
    rules:
      - {env: MEMORY_LIMIT, set: memory, remove: true}
      - {key: Pids, rename: PidsLimit}
      - when: {labels: {tier: back}}
        clamp: memory
        most: 96m
    env-file: {path: /run/instance/env, mode: 0640}
  volumedefaults:
    rules:
      - when: {name: host-*}
        refuse: names that begin with host- are the operator's
      - when: {labels: {tier: cache}}
        options: {type: tmpfs, device: tmpfs, o: size=3m}
      - labels: {org.example.node: n17}
`

func TestPluginsOfRulesActOnContainersAndVolumes(t *testing.T) {
	d := configured(t, embedded, fourPluginsOfRules)
	require.NoError(t, d.start())
	d.load(t, "box")
	made := d.network(t, client.NetworkCreateOptions{})
	id := d.runs(t, network(made), named("web"), config(func(c *container.Config) {
		c.Env = []string{"MEMORY_LIMIT=64m", "CPU_LIMIT=0.5", "BACKLOG=77", "PIDS=55", "SHM=5m", "OOM=321"}
		c.Labels = map[string]string{"tier": "back", "org.example.files": "123:456"}
	}))

	inspected := d.inspect(t, id)
	assert.EqualValues(t, 64*units.MiB, inspected.HostConfig.Memory)
	assert.NotContains(t, strings.Join(inspected.Config.Env, " "), "MEMORY_LIMIT")
	assert.Equal(t, "67108864", d.limitOf(t, id, "memory.max", "memory/memory.limit_in_bytes"))
	assert.Equal(t, "55", d.limitOf(t, id, "pids.max", "pids/pids.max"))
	assert.Contains(t, []string{"50000 100000", "50000"}, d.limitOf(t, id, "cpu.max", "cpu/cpu.cfs_quota_us"))
	assert.Regexp(t, `Max open files +\d+ +456`, d.ok(t, id, "cat /proc/1/limits"))
	assert.Equal(t, "77", d.ok(t, id, "cat /proc/sys/net/core/somaxconn"))
	assert.Equal(t, "321", d.ok(t, id, "cat /proc/1/oom_score_adj"))
	assert.Regexp(t, `shm /dev/shm tmpfs .*size=5120k`, d.ok(t, id, "cat /proc/mounts"))

	mac := d.ok(t, id, "cat /sys/class/net/eth0/address")
	assert.Regexp(t, "^02:42:ac:", mac)
	assert.Equal(t, mac, inspected.NetworkSettings.Networks[made].MacAddress.String())
	assert.Contains(t, d.ok(t, id, "cat /etc/resolv.conf"), "back.example.org")

	d.update(t, id, http.StatusOK, `{"Env": ["MEMORY_LIMIT=1g", "LEVEL=it's"], "Pids": 44}`)
	inspected = d.inspect(t, id)
	assert.EqualValues(t, 96*units.MiB, inspected.HostConfig.Memory, "bounded")
	assert.Equal(t, "100663296", d.limitOf(t, id, "memory.max", "memory/memory.limit_in_bytes"))
	assert.Equal(t, "44", d.limitOf(t, id, "pids.max", "pids/pids.max"))
	assert.Equal(t, "it's 0.5", d.ok(t, id, ". /run/instance/env && echo $LEVEL $CPU_LIMIT"))
	assert.Contains(t, d.ok(t, id, "stat /run/instance/env"), "-rw-r----- 0:0 ")
	assert.NotContains(t, d.ok(t, id, "cat /run/instance/env"), "MEMORY_LIMIT")
	_, err := d.client.ContainerUpdate(testContext(t), id, client.ContainerUpdateOptions{Resources: &container.Resources{Memory: units.GiB}})
	require.NoError(t, err)
	assert.EqualValues(t, 96*units.MiB, d.inspect(t, id).HostConfig.Memory, "Docker's client is bounded, too")

	// A link in the file's place must not lead to a file of the host.
	victim := filepath.Join(t.TempDir(), "victim")
	d.ok(t, id, "rm /run/instance/env")
	require.NoError(t, d.copyTo(t, id, "/run/instance", tarOf(t, "", tar.Header{Name: "env", Typeflag: tar.TypeSymlink, Linkname: victim})))
	d.ok(t, id, "test -L /run/instance/env")
	d.update(t, id, http.StatusOK, `{"Env": ["LEVEL=two"]}`)
	assert.NoFileExists(t, victim)
	assert.Equal(t, "two", d.ok(t, id, "test ! -L /run/instance/env && . /run/instance/env && echo $LEVEL"))

	_, err = d.client.VolumeCreate(testContext(t), client.VolumeCreateOptions{Name: "pages", Labels: map[string]string{"tier": "cache"}})
	require.NoError(t, err)
	volume, err := d.client.VolumeInspect(testContext(t), "pages", client.VolumeInspectOptions{})
	require.NoError(t, err)
	assert.Equal(t, map[string]string{"tier": "cache", "org.example.node": "n17"}, volume.Volume.Labels)
	mounted := d.run(t, "cat /proc/mounts", host(func(h *container.HostConfig) { h.Binds = []string{"pages:/pages"} }))
	assert.Regexp(t, `tmpfs /pages tmpfs .*size=3072k`, mounted.stdout, mounted.stderr)
}

func TestPluginsOfRulesRefuseWithTheirReason(t *testing.T) {
	d := configured(t, embedded, fourPluginsOfRules)
	require.NoError(t, d.start())
	d.load(t, "box")
	_, err := d.client.ContainerCreate(testContext(t), client.ContainerCreateOptions{
		Config: &container.Config{Image: "box", Env: []string{"MEMORY_LIMIT=12q"}},
	})
	assert.True(t, errdefs.IsInvalidArgument(err), "%v", err)
	assert.ErrorContains(t, err, `plugin "envlimits": PreCreate: MEMORY_LIMIT "12q": memory: not a size: write bytes, or a number with a unit, such as 512m or 1g`)

	_, err = d.client.ContainerCreate(testContext(t), client.ContainerCreateOptions{
		Config: &container.Config{Image: "box"}, HostConfig: &container.HostConfig{Binds: []string{"host-data:/data"}},
	})
	assert.True(t, errdefs.IsPermissionDenied(err), "%v", err)
	assert.ErrorContains(t, err, `volume "host-data": names that begin with host- are the operator's`)
	listed, err := d.client.ContainerList(testContext(t), client.ContainerListOptions{All: true})
	require.NoError(t, err)
	assert.Empty(t, listed.Items, "nothing is left")

	id := d.create(t, "true")
	answer := d.update(t, id, http.StatusBadRequest, `{"Env": ["MEMORY_LIMIT=12q"]}`)
	assert.Contains(t, answer, `MEMORY_LIMIT \"12q\": memory: not a size`)
	answer = d.update(t, id, http.StatusBadRequest, `{"Memory": 1, "memory": 2}`)
	assert.Contains(t, answer, `the update has one key twice`)
}

// update sends what Docker's client has no words for, and returns the answer.
func (d *daemon) update(t *testing.T, id string, want int, body string) string {
	t.Helper()
	web := http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", d.socket)
	}}}
	request, err := http.NewRequestWithContext(testContext(t), http.MethodPost, "http://d/containers/"+id+"/update", strings.NewReader(body))
	require.NoError(t, err)
	request.Header.Set("Content-Type", "application/json")
	response, err := web.Do(request)
	require.NoError(t, err)
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	require.Equal(t, want, response.StatusCode, string(text))
	return string(text)
}

// limitOf is a limit as a container's cgroup has it, by its file in v2 and v1.
func (d *daemon) limitOf(t *testing.T, id, v2, v1 string) string {
	t.Helper()
	return d.ok(t, id, "cat /sys/fs/cgroup/"+v2+" 2>/dev/null || cat /sys/fs/cgroup/"+v1)
}
