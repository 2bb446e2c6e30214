package e2e

import (
	"context"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/docker/go-units"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// A daemon with the plugins of examples/migrated, which were written for
// PouchContainer: what a Docker client sees of them.
func TestPluginsThatWereWrittenForPouchContainer(t *testing.T) {
	binary := filepath.Join(built.dir, "migrated-daemon")
	flags, cgo := ourFlags()
	require.NoError(t, compile(binary, "./migrateddaemon", flags, cgo))
	helper := filepath.Join(t.TempDir(), "helper")
	t.Setenv("ACME_HELPER", helper)
	helperSays := func() string {
		text, err := os.ReadFile(helper)
		require.NoError(t, err)
		return strings.TrimSpace(string(text))
	}
	config := filepath.Join(t.TempDir(), "config.yaml")
	require.NoError(t, os.WriteFile(config, []byte("plugins: {containerplugin.contPlugin: {policy: {priority: 5}}}\n"), 0o600))
	d := ownDaemon(t, binary, embedded, "--config-file", config)
	assert.Equal(t, "started", helperSays(), "PreStartHook")

	d.load(t, "box")
	img, err := boxImage()
	require.NoError(t, err)
	_, err = d.pull(push(t, loopbackRegistry(t), "pulled:1", img), client.ImagePullOptions{})
	require.NoError(t, err)
	assert.Contains(t, helperSays(), "pulled:1", "PostPull")

	v, err := d.client.VolumeCreate(testContext(t), client.VolumeCreateOptions{Name: "data"})
	require.NoError(t, err)
	assert.Equal(t, helper, v.Volume.Labels["helper"], "PreVolumeCreate")

	// PreCreate, behind a wrapper that changes the name, PreStart and
	// PreCreateEndpoint.
	front := d.network(t, client.NetworkCreateOptions{Driver: "bridge"})
	id := d.create(t, "env; sleep 1000", named("old-web"), network(front), func(o *client.ContainerCreateOptions) {
		o.Config.Env = []string{"MEMORY_LIMIT=67108864", "NO_RESOLVER=true"}
		o.Config.Labels = map[string]string{"annotation.team": "blue"}
	})
	d.startContainer(t, id)
	got := d.inspect(t, "web")
	assert.Equal(t, "/web", got.Name, "req.Form")
	assert.Equal(t, id, d.inspect(t, "old-web").ID, "mux.Vars")
	assert.EqualValues(t, 64*units.MiB, got.HostConfig.Memory)
	assert.EqualValues(t, 32*units.MiB, got.HostConfig.ShmSize)
	assert.Contains(t, got.HostConfig.CapAdd, "SYS_PTRACE")
	assert.NotContains(t, strings.Join(got.Config.Env, "\n"), "CONTAINER_NAME=", "what PreStart changes is for the start")
	var env string
	require.NoError(t, waitFor(time.Minute, func() bool {
		env = d.logs(t, id, client.ContainerLogsOptions{}).stdout
		return strings.Contains(env, "CONTAINER_NETWORKS=1\n")
	}))
	assert.Contains(t, env, "CONTAINER_NAME=web\n")
	assert.Contains(t, env, "CONTAINER_ID="+id+"\n")
	assert.Regexp(t, `(?m)^CONTAINER_ROOT=/.+$`, env)

	assert.NotContains(t, d.ok(t, id, "cat /etc/resolv.conf"), "127.0.0.11", "DisableResolver")

	// PreUpdate and PostUpdate.
	status, _, body := request(t, d, "POST", "/containers/old-web/update", `{"Env": ["MEMORY_LIMIT=134217728"]}`)
	require.Equal(t, http.StatusOK, status, body)
	assert.EqualValues(t, 128*units.MiB, d.inspect(t, "web").HostConfig.Memory)
	assert.Contains(t, d.ok(t, id, "cat /tmp/env.sh"), `export MEMORY_LIMIT="134217728"`)

	// PreStart refuses, with the plugin's name.
	refused := d.create(t, "true", host(func(h *container.HostConfig) { h.Binds = []string{"data:/forbidden"} }))
	_, err = d.client.ContainerStart(testContext(t), refused, client.ContainerStartOptions{})
	assert.ErrorContains(t, err, `plugin "containerplugin.contPlugin": PreStart: /forbidden must not be mounted over`)

	// UpdateHandler.
	_, header, _ := request(t, d, "GET", "/v1.44/version", "")
	assert.Equal(t, "acme", header.Get("X-Engine"))
	_, header, _ = request(t, d, "GET", "/containers/web/json", "")
	assert.Equal(t, "acme", header.Get("X-Engine"))
	for _, c := range []struct {
		method, path string
		status       int
		body         string
	}{
		{"GET", "/containers/web/owner", http.StatusOK, `"Container":"web"`},
		{"POST", "/host/exec", http.StatusBadRequest, `{"message":"cmd is empty"}`},
		{"POST", "/host/exec?cmd=ls", http.StatusNotImplemented, `{"message":"not on this host"}`},
		{"POST", "/commit?container=web", http.StatusNotFound, "page not found"},
	} {
		status, _, body := request(t, d, c.method, c.path, "")
		assert.Equal(t, c.status, status, c.path)
		assert.Contains(t, body, c.body, c.path)
	}

	_, err = d.client.ContainerRemove(testContext(t), id, client.ContainerRemoveOptions{Force: true})
	require.NoError(t, err)
	d.signal(syscall.SIGTERM)
	assert.Equal(t, "stopped", helperSays(), "PreStopHook")
}

// request asks as a client without a library does.
func request(t *testing.T, d *daemon, method, path, body string) (status int, header http.Header, answer string) {
	t.Helper()
	req, err := http.NewRequestWithContext(testContext(t), method, "http://docker"+path, strings.NewReader(body))
	require.NoError(t, err)
	req.Header.Set("Content-Type", "application/json")
	transport := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", d.socket)
	}}
	defer transport.CloseIdleConnections()
	res, err := transport.RoundTrip(req)
	require.NoError(t, err)
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	require.NoError(t, err)
	return res.StatusCode, res.Header, string(text)
}
