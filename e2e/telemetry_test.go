package e2e

import (
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/moby/moby/api/types/container"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/metadata"

	"github.com/pouchfx/pouchfx/modules/telemetry"
	"github.com/pouchfx/pouchfx/modules/telemetry/otlptest"
)

// What a client sends in traceparent.
const (
	traceID     = "4bf92f3577b34da6a3ce929d0e0e4736"
	clientSpan  = "00f067aa0ba902b7"
	traceparent = "00-" + traceID + "-" + clientSpan + "-01"
)

// get asks a unix socket.
func get(t testing.TB, socket, path string) (int, string) {
	t.Helper()
	return ask(t, socket, "GET", path, "")
}

// ask sends a request as part of the client's trace.
func ask(t testing.TB, socket, method, path, body string) (int, string) {
	t.Helper()
	web := http.Client{Timeout: time.Minute, Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext:       func(context.Context, string, string) (net.Conn, error) { return net.Dial("unix", socket) },
	}}
	req, err := http.NewRequestWithContext(t.Context(), method, "http://daemon"+path, strings.NewReader(body))
	require.NoError(t, err)
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Traceparent", traceparent)
	res, err := web.Do(req)
	require.NoError(t, err)
	defer res.Body.Close()
	answer, err := io.ReadAll(res.Body)
	require.NoError(t, err)
	return res.StatusCode, string(answer)
}

func healthOf(t testing.TB, socket, path string) (int, telemetry.Health) {
	t.Helper()
	status, body := get(t, socket, path)
	var h telemetry.Health
	require.NoError(t, json.Unmarshal([]byte(body), &h), body)
	return status, h
}

const failing = `
metrics-addr: unix://METRICS
plugins:
  moody:
    policy: {onError: ignore, breaker: {failures: 3, cooldown: 1h}, priority: 10}
  second:
    policy: {required: false}
    moods: {New: MOOD}
`

func TestOperatorsSeeAPluginThatKeepsFailing(t *testing.T) {
	metrics := filepath.Join(shortRoot(t), "m.sock")
	d, _ := pluginDaemon(t, embedded, strings.NewReplacer("METRICS", metrics, "MOOD", "none").Replace(failing))
	d.load(t, "box")
	_, h := healthOf(t, metrics, "/health")
	assert.Equal(t, telemetry.Ready, h.Status)

	for range 4 {
		d.create(t, "true", config(func(c *container.Config) { c.Labels = map[string]string{"moody": "PreCreate:error"} }))
	}
	d.startContainer(t, d.create(t, "sleep 1000"))
	for socket, paths := range map[string][2]string{metrics: {"/metrics", "/health"}, d.socket: {"/pouchfx/metrics", "/pouchfx/health"}} {
		status, page := get(t, socket, paths[0])
		assert.Equal(t, 200, status)
		for _, line := range []string{
			`pouchfx_plugin_hook_calls_total{hook="PreCreate",outcome="error",plugin="moody"} 3`,
			`pouchfx_plugin_hook_calls_total{hook="PreCreate",outcome="skipped",plugin="moody"} 2`,
			`pouchfx_plugin_hook_calls_total{hook="PreCreate",outcome="ok",plugin="second"} 5`,
			`pouchfx_plugin_hook_duration_seconds_count{hook="PreCreate",plugin="moody"} 3`,
			`pouchfx_plugin_breaker_state{plugin="moody",state="open"} 1`,
			`pouchfx_plugin_status{plugin="moody",status="skipped"} 1`,
			`pouchfx_api_requests_total{code="201",method="POST",route="/containers/create"} 5`,
			`pouchfx_containers{state="running"} 1`,
			`pouchfx_containers{state="stopped"} 4`,
			"pouchfx_build_info{", "pouchfx_boot_duration_seconds 0.", "\ngo_goroutines ", "\nprocess_open_fds ",
		} {
			assert.Contains(t, page, line)
		}
		status, h := healthOf(t, socket, paths[1])
		assert.Equal(t, 200, status, "the daemon works without the plugin")
		assert.Equal(t, telemetry.Degraded, h.Status)
		require.Len(t, h.Reasons, 1)
		assert.Equal(t, "moody", h.Reasons[0].Plugin)
	}
	assert.Contains(t, d.log.String(), "plugin keeps failing: it is skipped for a while")
}

func TestHealthNamesTheOptionalPluginThatFailed(t *testing.T) {
	metrics := filepath.Join(shortRoot(t), "m.sock")
	d, _ := pluginDaemon(t, embedded, strings.NewReplacer("METRICS", metrics, "MOOD", "error").Replace(failing))
	status, h := healthOf(t, d.socket, "/pouchfx/health")
	assert.Equal(t, 200, status)
	assert.Equal(t, telemetry.Degraded, h.Status)
	require.Len(t, h.Reasons, 1)
	assert.Equal(t, "second", h.Reasons[0].Plugin)
	assert.Contains(t, h.Reasons[0].Text, "moody today")
}

func TestHealthTellsThatContainerdHasGone(t *testing.T) {
	d := ownDaemon(t, built.daemon, external)
	status, h := healthOf(t, d.socket, "/pouchfx/health")
	assert.Equal(t, 200, status)
	assert.Equal(t, telemetry.Ready, h.Status)

	require.NoError(t, d.stockCD.Process.Signal(syscall.SIGSTOP))
	defer d.stockCD.Process.Signal(syscall.SIGCONT)
	require.NoError(t, waitFor(time.Minute, func() bool { // until it has stopped
		status, h = healthOf(t, d.socket, "/pouchfx/health")
		return status == 503
	}))
	assert.Equal(t, telemetry.NotReady, h.Status)
	require.Len(t, h.Reasons, 1)
	assert.Equal(t, "containerd", h.Reasons[0].Check)

	require.NoError(t, d.stockCD.Process.Signal(syscall.SIGCONT))
	require.NoError(t, waitFor(time.Minute, func() bool {
		status, _ := healthOf(t, d.socket, "/pouchfx/health")
		return status == 200
	}), "it is back")
}

func TestHooksAreSpansOfTheClientsTrace(t *testing.T) {
	collector := otlptest.Start(t)
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.URL)
	k := newKubelet(t)
	k.d.load(t, "box")

	status, answer := ask(t, k.d.socket, "POST", "/v1.44/containers/create?name=traced", `{"Image":"box","Cmd":["true"],"HostConfig":{"NetworkMode":"none"}}`)
	require.Equal(t, 201, status, answer)
	var created struct{ ID string }
	require.NoError(t, json.Unmarshal([]byte(answer), &created))
	status, answer = ask(t, k.d.socket, "POST", "/containers/"+created.ID+"/start", "")
	require.Equal(t, 204, status, answer)

	pod, config := k.pod(t, "traced")
	_, err := k.create(metadata.AppendToOutgoingContext(testContext(t), "traceparent", traceparent), pod, config, nil, "true")
	require.NoError(t, err)
	k.removePods(t)
	k.d.signal(syscall.SIGTERM) // which sends what is left
	require.Zero(t, k.d.cmd.ProcessState.ExitCode(), k.d.log)
	require.NoError(t, k.d.start(), "for the others' cleaning up")

	byID := map[string]otlptest.Span{}
	for _, s := range collector.Spans() {
		byID[s.ID] = s
	}
	below := func(hook, request string) {
		t.Helper()
		for _, s := range byID {
			if above := byID[s.Parent]; s.Name == hook && above.Name == request {
				assert.Equal(t, traceID, s.Trace, hook)
				assert.Equal(t, clientSpan, above.Parent, request)
				assert.True(t, above.Server, request)
				assert.Equal(t, "ok", s.Attributes["pouchfx.outcome"])
				return
			}
		}
		t.Errorf("no span %q below %q", hook, request)
	}
	for _, plugin := range []string{"moody", "second"} {
		below("PreCreate "+plugin, "POST /containers/create")
		below("PreStart "+plugin, "POST /containers/{name}/start")
		below("PreCreateContainer "+plugin, "runtime.v1.RuntimeService/CreateContainer")
		below("PreCreate "+plugin, "runtime.v1.RuntimeService/CreateContainer")
		assert.NotNil(t, collector.Named("PreStartHook "+plugin), "before there were any requests")
		assert.NotNil(t, collector.Named("PreStopHook "+plugin), "after the last of them")
	}
	assert.Equal(t, created.ID, collector.Named("PreStart moody").Attributes["container.id"])
	_, page := get(t, k.d.socket, "/pouchfx/metrics")
	assert.Contains(t, page, "containerd_", "what the engine counts")
}
