package otlp

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/test/bufconn"
	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/pouchfx/pouchfx/modules/registry"
	"github.com/pouchfx/pouchfx/modules/telemetry"
	"github.com/pouchfx/pouchfx/modules/telemetry/otlptest"
	"github.com/pouchfx/pouchfx/plugins"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// What a client sends in its header traceparent.
const (
	traceID     = "4bf92f3577b34da6a3ce929d0e0e4736"
	clientSpan  = "00f067aa0ba902b7"
	traceparent = "00-" + traceID + "-" + clientSpan + "-01"
)

// record starts a recorder that sends to the collector.
func record(t *testing.T, url string) *telemetry.Recorder {
	t.Helper()
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", url)
	r := telemetry.New(Open, zap.NewNop())
	require.NoError(t, r.Start(t.Context()))
	return r
}

func TestHooksAreBelowTheirRequestAndThatBelowTheClientsSpan(t *testing.T) {
	t.Setenv("OTEL_RESOURCE_ATTRIBUTES", "rack=7")
	collector := otlptest.Start(t)
	r := record(t, collector.URL)

	req := httptest.NewRequestWithContext(t.Context(), "POST", "/v1.44/containers/create?name=web", nil)
	req.Header.Set("traceparent", traceparent)
	req, endRequest := r.Request(req)
	ctx := plugins.WithRequest(req.Context(), plugins.Request{Name: "we\xffb", ID: "abc", DryRun: true})
	inner, endHook := r.Begin(ctx, "limits", "PreCreate")
	_, endNested := r.Begin(inner, "diary", "PreVolumeCreate") // a hook that calls the daemon
	endNested(registry.OK, nil)
	r.Conflict(ctx, "limits", "PreCreate", "diary", "/Labels/x")
	endHook(registry.Error, errors.New("refused"))
	endRequest("/containers/create", 500)
	require.NoError(t, r.Stop(t.Context()))

	request, hook, nested := collector.Named("POST /containers/create"), collector.Named("PreCreate limits"), collector.Named("PreVolumeCreate diary")
	require.NotNil(t, request)
	require.NotNil(t, hook)
	require.NotNil(t, nested)
	for _, s := range collector.Spans() {
		assert.Equal(t, traceID, s.Trace, s.Name)
	}
	assert.Equal(t, clientSpan, request.Parent)
	assert.Equal(t, request.ID, hook.Parent)
	assert.Equal(t, hook.ID, nested.Parent)
	assert.True(t, request.Server)
	assert.True(t, request.Failed)
	assert.Equal(t, []string{"conflict"}, request.Events)
	assert.Equal(t, map[string]string{
		"http.request.method": "POST", "http.route": "/containers/create", "http.response.status_code": "500", "url.path": "/v1.44/containers/create",
	}, request.Attributes)
	assert.Equal(t, "refused", hook.Message)
	assert.Equal(t, map[string]string{
		"pouchfx.plugin": "limits", "pouchfx.hook": "PreCreate", "pouchfx.outcome": "error", "pouchfx.dry_run": "true",
		"container.id": "abc", "container.name": "we\ufffdb",
	}, hook.Attributes)
	assert.False(t, nested.Failed)
	assert.Equal(t, "pouchfx", collector.Resource("service.name"))
	assert.Equal(t, "7", collector.Resource("rack"))
}

func TestAClientThatIsNotSampledIsNotSent(t *testing.T) {
	collector := otlptest.Start(t)
	r := record(t, collector.URL)
	req := httptest.NewRequestWithContext(t.Context(), "GET", "/info", nil)
	req.Header.Set("traceparent", "00-"+traceID+"-"+clientSpan+"-00")
	req, end := r.Request(req)
	_, endHook := r.Begin(req.Context(), "limits", "PreCreate")
	endHook(registry.OK, nil)
	end("/info", 200)
	require.NoError(t, r.Stop(t.Context()))
	assert.Empty(t, collector.Spans())
}

// serve is a server that knows no method, as the CRI proxy's, with Calls.
func serve(t *testing.T, r *telemetry.Recorder, handle grpc.StreamHandler, services ...*grpc.ServiceDesc) *grpc.ClientConn {
	t.Helper()
	l := bufconn.Listen(1 << 16)
	s := grpc.NewServer(grpc.UnknownServiceHandler(handle), grpc.StreamInterceptor(r.Calls(services...)))
	done := make(chan struct{})
	go func() { _ = s.Serve(l); close(done) }()
	conn, err := grpc.NewClient("passthrough:///x", grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return l.DialContext(ctx) }))
	require.NoError(t, err)
	t.Cleanup(func() { conn.Close(); s.Stop(); <-done })
	return conn
}

func TestCallsOfCRIAreSpansToo(t *testing.T) {
	collector := otlptest.Start(t)
	r := record(t, collector.URL)
	service := &grpc.ServiceDesc{ServiceName: "x.S", Methods: []grpc.MethodDesc{{MethodName: "Run"}}, Streams: []grpc.StreamDesc{{StreamName: "Watch"}}}
	conn := serve(t, r, func(_ any, s grpc.ServerStream) error {
		if err := s.RecvMsg(new(emptypb.Empty)); err != nil {
			return err
		}
		_, end := r.Begin(s.Context(), "limits", "PreCreateContainer")
		end(registry.OK, nil)
		if method, _ := grpc.MethodFromServerStream(s); method != "/x.S/Run" {
			return status.Error(codes.NotFound, "no pod")
		}
		return s.SendMsg(new(emptypb.Empty))
	}, service)

	ctx := metadata.AppendToOutgoingContext(t.Context(), "traceparent", traceparent)
	require.NoError(t, conn.Invoke(ctx, "/x.S/Run", new(emptypb.Empty), new(emptypb.Empty)))
	require.Error(t, conn.Invoke(ctx, "/x.S/Invented", new(emptypb.Empty), new(emptypb.Empty)))
	require.Error(t, conn.Invoke(ctx, "/x.S/Watch", new(emptypb.Empty), new(emptypb.Empty)))
	require.NoError(t, r.Stop(t.Context()))

	call, hook, failed := collector.Named("x.S/Run"), collector.Named("PreCreateContainer limits"), collector.Named("x.S/Invented")
	require.NotNil(t, call)
	require.NotNil(t, hook)
	require.NotNil(t, failed)
	assert.Equal(t, clientSpan, call.Parent)
	assert.Equal(t, call.ID, hook.Parent)
	assert.Equal(t, traceID, hook.Trace)
	assert.Equal(t, "rpc error: code = NotFound desc = no pod", failed.Message)
	assert.Nil(t, collector.Named("x.S/Watch"), "a stream may never end")

	reporter, err := telemetry.NewReporter(telemetry.ReporterParams{Recorder: r, Plugins: nobody{}, Log: zap.NewNop()})
	require.NoError(t, err)
	w := httptest.NewRecorder()
	reporter.ServeMetrics(w, httptest.NewRequestWithContext(t.Context(), "GET", "/", nil))
	for _, line := range []string{
		`pouchfx_cri_calls_total{code="OK",method="Run"} 1`, `pouchfx_cri_calls_total{code="NotFound",method="other"} 1`,
		`pouchfx_cri_calls_total{code="NotFound",method="Watch"} 1`, `pouchfx_cri_call_duration_seconds_count{method="Run"} 1`,
	} {
		assert.Contains(t, w.Body.String(), line)
	}
	assert.NotContains(t, w.Body.String(), "Invented")
}

type nobody struct{}

func (nobody) List() []registry.Info { return nil }

func TestACollectorThatHangsDoesNotDelayTheStop(t *testing.T) {
	asked, release := make(chan struct{}, 8), make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		asked <- struct{}{}
		<-release
	}))
	defer server.Close()
	defer close(release)
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", server.URL)
	core, logs := observer.New(zapcore.WarnLevel)
	r := telemetry.New(Open, zap.New(core))
	require.NoError(t, r.Start(t.Context()))
	_, end := r.Begin(t.Context(), "limits", "PreCreate")
	end(registry.OK, nil)

	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	begin := time.Now()
	require.NoError(t, r.Stop(ctx), "lost traces are no reason to fail")
	assert.Less(t, time.Since(begin), 4*time.Second)
	assert.Len(t, asked, 1)
	assert.NotZero(t, logs.FilterMessage("the last traces are lost").Len())
}

func TestACollectorThatIsDownIsToldOfOnce(t *testing.T) {
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1")
	t.Setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "100")
	t.Setenv("OTEL_BSP_SCHEDULE_DELAY", "1")
	t.Setenv("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "1")
	core, logs := observer.New(zapcore.WarnLevel)
	r := telemetry.New(Open, zap.New(core))
	require.NoError(t, r.Start(t.Context()))
	for range 3 {
		_, end := r.Begin(t.Context(), "limits", "PreCreate")
		end(registry.OK, nil)
	}
	require.NoError(t, r.Stop(t.Context()))
	assert.Equal(t, 1, logs.FilterMessage("traces are lost: the collector does not take them").Len())
}

func TestTheEnvironmentSaysWhetherSpansAreSent(t *testing.T) {
	for name, c := range map[string]struct {
		env     map[string]string
		want    bool
		warning string
	}{
		"nothing":           {},
		"an endpoint":       {env: map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:4318"}, want: true},
		"one for traces":    {env: map[string]string{"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://c:4318/v1/traces"}, want: true},
		"the exporter":      {env: map[string]string{"OTEL_TRACES_EXPORTER": "otlp"}, want: true},
		"none":              {env: map[string]string{"OTEL_TRACES_EXPORTER": "none", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:4318"}},
		"disabled":          {env: map[string]string{"OTEL_SDK_DISABLED": "TRUE", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:4318"}},
		"another exporter":  {env: map[string]string{"OTEL_TRACES_EXPORTER": "zipkin"}, warning: "use otlp or none"},
		"another protocol":  {env: map[string]string{"OTEL_TRACES_EXPORTER": "otlp", "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}, warning: "use http/protobuf"},
		"traces' protocol":  {env: map[string]string{"OTEL_TRACES_EXPORTER": "otlp", "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL": "http/protobuf", "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}, want: true},
		"disabled wrongly":  {env: map[string]string{"OTEL_SDK_DISABLED": "1", "OTEL_TRACES_EXPORTER": "otlp"}, want: true},
		"metrics elsewhere": {env: map[string]string{"OTEL_EXPORTER_OTLP_METRICS_ENDPOINT": "http://c:4318"}},
	} {
		core, logs := observer.New(zapcore.WarnLevel)
		assert.Equal(t, c.want, wanted(func(key string) string { return c.env[key] }, zap.New(core)), name)
		if c.warning == "" {
			assert.Zero(t, logs.Len(), name)
		} else {
			require.Equal(t, 1, logs.Len(), name)
			assert.Contains(t, logs.All()[0].Message, c.warning)
		}
	}
}
