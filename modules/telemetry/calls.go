package telemetry

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/attribute"
	otelcodes "go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

// callMetrics are about CRI.
type callMetrics struct {
	calls   *prometheus.CounterVec
	seconds *prometheus.HistogramVec
}

func newCallMetrics() callMetrics {
	return callMetrics{
		calls: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "pouchfx_cri_calls_total",
			Help: "Calls of CRI by method and gRPC code; methods that are not known here are other.",
		}, []string{"method", "code"}),
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "pouchfx_cri_call_duration_seconds",
			Help:    "How long calls of CRI took, without streams.",
			Buckets: seconds,
		}, []string{"method"}),
	}
}

func (m callMetrics) all() []prometheus.Collector { return []prometheus.Collector{m.calls, m.seconds} }

// method is what is known of one of gRPC.
type method struct {
	name   string
	stream bool
}

// Calls observes the gRPC calls of a server, which are a part of the client's
// trace if it says so in the metadata traceparent. They are not otelgrpc's
// spans, because a proxy's server knows nothing but streams, and because this
// looks at no message. Streams of the given services may go on for days and
// have no span. A nil recorder observes nothing.
func (r *Recorder) Calls(services ...*grpc.ServiceDesc) grpc.StreamServerInterceptor {
	if r == nil {
		return func(srv any, s grpc.ServerStream, _ *grpc.StreamServerInfo, handle grpc.StreamHandler) error {
			return handle(srv, s)
		}
	}
	methods := map[string]method{}
	for _, service := range services {
		for _, m := range service.Methods {
			methods["/"+service.ServiceName+"/"+m.MethodName] = method{name: m.MethodName}
		}
		for _, m := range service.Streams {
			methods["/"+service.ServiceName+"/"+m.StreamName] = method{name: m.StreamName, stream: true}
		}
	}
	return func(srv any, s grpc.ServerStream, info *grpc.StreamServerInfo, handle grpc.StreamHandler) error {
		m, known := methods[info.FullMethod]
		if !known {
			m.name = "other" // which may be anything
		}
		return r.call(m, info.FullMethod, s, func(s grpc.ServerStream) error { return handle(srv, s) })
	}
}

func (r *Recorder) call(m method, full string, s grpc.ServerStream, handle func(grpc.ServerStream) error) error {
	begin := time.Now()
	var span trace.Span
	if !m.stream {
		s, span = r.beginCall(full, s)
	}
	err := handle(s)
	code := status.Code(err)
	r.calls.calls.WithLabelValues(m.name, code.String()).Inc()
	if !m.stream {
		r.calls.seconds.WithLabelValues(m.name).Observe(time.Since(begin).Seconds())
	}
	if span != nil {
		endCall(span, code, err)
	}
	return err
}

const (
	attributeSystem = attribute.Key("rpc.system.name")
	attributeRPC    = attribute.Key("rpc.method")
	attributeCode   = attribute.Key("rpc.response.status_code")
)

func (r *Recorder) beginCall(full string, s grpc.ServerStream) (grpc.ServerStream, trace.Span) {
	if r.tracer.Load() == nil {
		return s, nil
	}
	came, _ := metadata.FromIncomingContext(s.Context())
	ctx := propagator.Extract(s.Context(), carrier(came))
	full = shortened(full[min(1, len(full)):])
	ctx, span := r.begin(ctx, full, trace.WithSpanKind(trace.SpanKindServer), trace.WithAttributes(
		attributeSystem.String("grpc"), attributeRPC.String(full)))
	return &observed{s, ctx}, span
}

func endCall(span trace.Span, code codes.Code, err error) {
	span.SetAttributes(attributeCode.String(code.String()))
	if err != nil {
		span.SetStatus(otelcodes.Error, shortened(err.Error()))
	}
	span.End()
}

// observed is a stream with the span in its context.
type observed struct {
	grpc.ServerStream
	ctx context.Context
}

func (s *observed) Context() context.Context { return s.ctx }

// carrier shows metadata to the propagator, which only reads.
type carrier metadata.MD

func (c carrier) Get(key string) string {
	if values := metadata.MD(c).Get(key); len(values) > 0 {
		return values[0]
	}
	return ""
}

func (c carrier) Set(string, string) {}

func (c carrier) Keys() []string { return nil }
