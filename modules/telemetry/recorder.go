package telemetry

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
	"go.uber.org/zap"
)

// flushTimeout bounds how long the last spans may delay the daemon's stop.
const flushTimeout = 5 * time.Second

// Spans is where spans go.
type Spans interface {
	trace.TracerProvider
	// Shutdown sends what is left until ctx ends, and ends all that runs.
	Shutdown(ctx context.Context) error
}

// Exporter opens the way of spans out of the daemon; nil Spans when nobody
// wants any.
type Exporter func(ctx context.Context, log *zap.Logger) (Spans, error)

// Recorder records what happens in the daemon. It counts from New on, and
// makes spans between Start and Stop.
type Recorder struct {
	log      *zap.Logger
	export   Exporter
	metrics  *prometheus.Registry
	hooks    hookMetrics
	known    knownHooks
	requests requestMetrics
	calls    callMetrics

	spans  Spans
	tracer atomic.Pointer[trace.Tracer] // nil while nobody wants spans
}

// New makes a recorder; without an exporter it makes no spans.
func New(export Exporter, log *zap.Logger) *Recorder {
	r := &Recorder{
		log: log, export: export, metrics: prometheus.NewRegistry(),
		hooks: newHookMetrics(), requests: newRequestMetrics(), calls: newCallMetrics(),
	}
	r.metrics.MustRegister(r.hooks.all()...)
	r.metrics.MustRegister(r.requests.all()...)
	r.metrics.MustRegister(r.calls.all()...)
	return r
}

// Start opens the exporter.
func (r *Recorder) Start(ctx context.Context) error {
	if r.export == nil {
		return nil
	}
	spans, err := r.export(ctx, r.log)
	if err != nil {
		return fmt.Errorf("traces: %w", err)
	}
	if spans == nil {
		return nil
	}
	r.spans = spans
	tracer := spans.Tracer("github.com/pouchfx/pouchfx/modules/telemetry")
	r.tracer.Store(&tracer)
	return nil
}

// Stop ends the making of spans and sends what is left, for a while. That
// nobody takes them is no reason for the daemon to fail. It is safe without
// Start, and twice.
func (r *Recorder) Stop(ctx context.Context) error {
	r.tracer.Store(nil)
	if r.spans == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, flushTimeout)
	defer cancel()
	if err := r.spans.Shutdown(ctx); err != nil {
		r.log.Warn("the last traces are lost", zap.Error(err))
	}
	r.spans = nil
	return nil
}

// begin starts a span below that of ctx; nil when nobody wants spans.
func (r *Recorder) begin(ctx context.Context, name string, o ...trace.SpanStartOption) (context.Context, trace.Span) {
	tracer := r.tracer.Load()
	if tracer == nil {
		return ctx, nil
	}
	return (*tracer).Start(ctx, name, o...)
}

// propagator reads W3C's traceparent. Baggage stays outside: nothing of the
// daemon has a use for it.
var propagator propagation.TraceContext

// maxText is how many bytes of a text go with a span.
const maxText = 1 << 10

// shortened makes text of strangers fit for a span.
func shortened(s string) string {
	if len(s) > maxText {
		s = s[:maxText] + "…"
	}
	return strings.ToValidUTF8(s, "\ufffd")
}
