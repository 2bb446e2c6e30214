package app_test

import (
	"context"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"slices"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/trace/noop"
	"go.uber.org/fx"
	"go.uber.org/zap"

	"github.com/pouchfx/pouchfx/app"
	"github.com/pouchfx/pouchfx/modules/config"
	"github.com/pouchfx/pouchfx/modules/lifecycle"
	"github.com/pouchfx/pouchfx/modules/telemetry"
)

// unsent are spans that go nowhere.
type unsent struct{ noop.TracerProvider }

func (unsent) Shutdown(context.Context) error { return nil }

// The exporter is there for the hooks of daemon plugins, too, though it is one
// of the engine's modules; what is served comes when they have started.
func TestSpansOutliveTheDaemonPluginsAndMetricsComeAfterThem(t *testing.T) {
	target := target(nil, nil, nil, nil)
	target.Modules = append(target.Modules, fx.Supply(telemetry.Exporter(func(context.Context, *zap.Logger) (telemetry.Spans, error) {
		return unsent{}, nil
	})))
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	timeline, c := lifecycle.NewTimeline(), config.Default()
	c.MetricsAddr = "127.0.0.1:0"
	require.Zero(t, app.Run(ctx, target, &c, app.OnReady(cancel), app.WithTimeline(timeline), app.WithLogger(zap.NewNop())))

	started, stopped := names(timeline.Entries(), lifecycle.Start), names(timeline.Entries(), lifecycle.Stop)
	assert.Equal(t, "telemetry.(*Recorder).Start", started[0])
	assert.Equal(t, "telemetry.(*Recorder).Stop", stopped[len(stopped)-1])
	server := slices.Index(started, "telemetry.(*Server).Start")
	assert.Less(t, slices.Index(started, "plugin p3 PreStartHook"), server)
	assert.Less(t, server, slices.Index(started, "app_test.(*component).Start"), "before the doors that it watches")
}

// Two daemons in one process each have metrics of their own.
func TestDaemonsInOneProcessServeTheirOwnMetrics(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var wg sync.WaitGroup
	for range 2 {
		c := config.Default()
		socket := filepath.Join(t.TempDir(), "m")
		c.MetricsAddr = "unix://" + socket
		ready := make(chan struct{})
		wg.Go(func() {
			assert.Zero(t, app.Run(ctx, target(nil, nil, nil, nil), &c, app.OnReady(func() { close(ready) }), app.WithLogger(zap.NewNop())))
		})
		<-ready
		page := get(t, socket, "/metrics")
		assert.Contains(t, page, `pouchfx_plugin_hook_calls_total{hook="PreStartHook",outcome="ok",plugin="p1"} 1`)
		assert.Contains(t, page, `pouchfx_plugin_status{plugin="p3",status="running"} 1`)
		assert.Equal(t, `{"status":"ready"}`+"\n", get(t, socket, "/health"))
	}
	cancel()
	wg.Wait()
}

func get(t *testing.T, socket, path string) string {
	t.Helper()
	web := http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(context.Context, string, string) (net.Conn, error) {
		return net.Dial("unix", socket)
	}}}
	res, err := web.Get("http://daemon" + path)
	require.NoError(t, err)
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	require.NoError(t, err)
	return string(body)
}
