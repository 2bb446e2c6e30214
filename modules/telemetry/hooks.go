package telemetry

import (
	"context"
	"maps"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"

	"github.com/pouchfx/pouchfx/modules/registry"
	"github.com/pouchfx/pouchfx/plugins"
)

// hookMetrics are about what plugins do.
type hookMetrics struct {
	calls     *prometheus.CounterVec
	seconds   *prometheus.HistogramVec
	conflicts *prometheus.CounterVec
}

func newHookMetrics() hookMetrics {
	return hookMetrics{
		calls: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "pouchfx_plugin_hook_calls_total",
			Help: "Calls of a hook of a plugin by how they ended: ok, error, timeout, panic, or skipped because the plugin's circuit breaker was open.",
		}, []string{"plugin", "hook", "outcome"}),
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "pouchfx_plugin_hook_duration_seconds",
			Help:    "How long calls of a hook of a plugin took, without those that were skipped.",
			Buckets: []float64{.00001, .00005, .0001, .0005, .001, .005, .01, .05, .1, .5, 1, 5, 10},
		}, []string{"plugin", "hook"}),
		conflicts: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "pouchfx_plugin_conflicts_total",
			Help: "Fields that a hook of a plugin wrote although another plugin (with) had written them.",
		}, []string{"plugin", "hook", "with"}),
	}
}

func (m hookMetrics) all() []prometheus.Collector {
	return []prometheus.Collector{m.calls, m.seconds, m.conflicts}
}

// hookKey is a hook of a plugin; hookSeries are its metrics, looked up once.
type (
	hookKey    struct{ plugin, hook string }
	hookSeries struct {
		calls   map[registry.Outcome]prometheus.Counter
		seconds prometheus.Observer
	}
)

// knownHooks are the hooks that were called. There are few, and soon no more,
// so that who adds one copies them and who reads them waits for nobody.
type knownHooks struct {
	mu    sync.Mutex // of who adds
	hooks atomic.Pointer[map[hookKey]*hookSeries]
}

// series returns the metrics of a hook.
func (r *Recorder) series(key hookKey) *hookSeries {
	if all := r.known.hooks.Load(); all != nil {
		if s := (*all)[key]; s != nil {
			return s
		}
	}
	r.known.mu.Lock()
	defer r.known.mu.Unlock()
	all := map[hookKey]*hookSeries{}
	if before := r.known.hooks.Load(); before != nil {
		maps.Copy(all, *before)
	}
	if all[key] == nil {
		all[key] = r.hooks.series(key)
		r.known.hooks.Store(&all)
	}
	return all[key]
}

// series makes those of a hook. All outcomes are there from its first call on,
// at zero: what has no value before it counts one has no rate.
func (m hookMetrics) series(key hookKey) *hookSeries {
	s := &hookSeries{calls: map[registry.Outcome]prometheus.Counter{}, seconds: m.seconds.WithLabelValues(key.plugin, key.hook)}
	for _, o := range []registry.Outcome{registry.OK, registry.Error, registry.Timeout, registry.Panicked, registry.Skipped} {
		s.calls[o] = m.calls.WithLabelValues(key.plugin, key.hook, string(o))
	}
	return s
}

// Begin observes a call of a hook, as registry.Observer has it.
func (r *Recorder) Begin(ctx context.Context, plugin, hook string) (context.Context, func(registry.Outcome, error)) {
	series := r.series(hookKey{plugin, hook})
	ctx, span := r.beginHook(ctx, plugin, hook)
	begin := time.Now()
	return ctx, func(outcome registry.Outcome, err error) {
		series.calls[outcome].Inc()
		if outcome != registry.Skipped {
			series.seconds.Observe(time.Since(begin).Seconds())
		}
		if span != nil {
			endHook(span, outcome, err)
		}
	}
}

// The names of what spans tell of hooks.
const (
	attributePlugin   = attribute.Key("pouchfx.plugin")
	attributeHook     = attribute.Key("pouchfx.hook")
	attributeOutcome  = attribute.Key("pouchfx.outcome")
	attributeDryRun   = attribute.Key("pouchfx.dry_run")
	attributeWith     = attribute.Key("pouchfx.with")
	attributeField    = attribute.Key("pouchfx.field")
	attributeID       = attribute.Key("container.id") // as OpenTelemetry has it
	attributeName     = attribute.Key("container.name")
	attributePod      = attribute.Key("k8s.pod.name")
	attributePodSpace = attribute.Key("k8s.namespace.name")
)

func (r *Recorder) beginHook(ctx context.Context, plugin, hook string) (context.Context, trace.Span) {
	if r.tracer.Load() == nil {
		return ctx, nil
	}
	ctx, span := r.begin(ctx, hook+" "+plugin)
	if span == nil || !span.IsRecording() {
		return ctx, span
	}
	span.SetAttributes(attributePlugin.String(plugin), attributeHook.String(hook))
	request := plugins.RequestFrom(ctx)
	for key, value := range map[attribute.Key]string{
		attributeID: request.ID, attributeName: request.Name, attributePod: request.Pod.Name, attributePodSpace: request.Pod.Namespace,
	} {
		if value != "" {
			span.SetAttributes(key.String(shortened(value)))
		}
	}
	if request.DryRun {
		span.SetAttributes(attributeDryRun.Bool(true))
	}
	return ctx, span
}

func endHook(span trace.Span, outcome registry.Outcome, err error) {
	span.SetAttributes(attributeOutcome.String(string(outcome)))
	if err != nil {
		span.SetStatus(codes.Error, shortened(err.Error()))
	}
	span.End()
}

// Conflict counts one, and notes it on the span of the request.
func (r *Recorder) Conflict(ctx context.Context, plugin, hook, with, field string) {
	r.hooks.conflicts.WithLabelValues(plugin, hook, with).Inc()
	trace.SpanFromContext(ctx).AddEvent("conflict", trace.WithAttributes(
		attributePlugin.String(plugin), attributeHook.String(hook), attributeWith.String(with), attributeField.String(field)))
}
