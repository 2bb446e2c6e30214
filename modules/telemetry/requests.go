package telemetry

import (
	"cmp"
	"net/http"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
)

// seconds are the buckets for what a client asks for.
var seconds = []float64{.001, .005, .025, .1, .5, 1, 5, 30}

// requestMetrics are about the HTTP API.
type requestMetrics struct {
	requests *prometheus.CounterVec
	seconds  *prometheus.HistogramVec
	inFlight prometheus.Gauge
}

func newRequestMetrics() requestMetrics {
	return requestMetrics{
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "pouchfx_api_requests_total",
			Help: "Requests of the HTTP API by method, pattern of the route (empty for paths that are not served) and status.",
		}, []string{"method", "route", "code"}),
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "pouchfx_api_request_duration_seconds",
			Help:    "How long requests of the HTTP API took. Streams, such as those of logs, events and attach, last as long as the client likes.",
			Buckets: seconds,
		}, []string{"method", "route"}),
		inFlight: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "pouchfx_api_requests_in_flight",
			Help: "Requests of the HTTP API in progress, with streams.",
		}),
	}
}

func (m requestMetrics) all() []prometheus.Collector {
	return []prometheus.Collector{m.requests, m.seconds, m.inFlight}
}

// Request observes a request of the HTTP API, which is a part of the client's
// trace if it says so in the header traceparent. The request to go on with is
// returned; end is called with the pattern of its route, empty for none, and
// the status of the answer. A nil recorder observes nothing.
func (r *Recorder) Request(req *http.Request) (_ *http.Request, end func(route string, status int)) {
	if r == nil {
		return req, func(string, int) {}
	}
	begin := time.Now()
	r.requests.inFlight.Inc()
	req, span := r.beginRequest(req)
	return req, func(route string, status int) {
		r.requests.inFlight.Dec()
		status = cmp.Or(status, http.StatusOK) // net/http's, when a handler says nothing
		method := req.Method
		if route == "" {
			method = "" // which may be anything
		}
		r.requests.requests.WithLabelValues(method, route, strconv.Itoa(status)).Inc()
		r.requests.seconds.WithLabelValues(method, route).Observe(time.Since(begin).Seconds())
		if span != nil {
			endRequest(span, method, route, status)
		}
	}
}

// What spans tell of requests, as OpenTelemetry names it. The query is not
// among it: it may hold secrets.
const (
	attributeMethod = attribute.Key("http.request.method")
	attributePath   = attribute.Key("url.path")
	attributeRoute  = attribute.Key("http.route")
	attributeStatus = attribute.Key("http.response.status_code")
)

func (r *Recorder) beginRequest(req *http.Request) (*http.Request, trace.Span) {
	if r.tracer.Load() == nil {
		return req, nil
	}
	ctx := propagator.Extract(req.Context(), propagation.HeaderCarrier(req.Header))
	ctx, span := r.begin(ctx, req.Method, trace.WithSpanKind(trace.SpanKindServer),
		trace.WithAttributes(attributeMethod.String(req.Method), attributePath.String(shortened(req.URL.Path))))
	return req.WithContext(ctx), span
}

func endRequest(span trace.Span, method, route string, status int) {
	span.SetAttributes(attributeStatus.Int(status))
	if route != "" {
		span.SetName(method + " " + route)
		span.SetAttributes(attributeRoute.String(route))
	}
	if status >= http.StatusInternalServerError {
		span.SetStatus(codes.Error, "")
	}
	span.End()
}
