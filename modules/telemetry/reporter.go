package telemetry

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"go.uber.org/zap"

	"github.com/pouchfx/pouchfx/modules/lifecycle"
	"github.com/pouchfx/pouchfx/modules/registry"
)

// maxScrapes is how many may ask for the metrics at the same time.
const maxScrapes = 8

// Plugins lists the daemon's plugins.
type Plugins interface{ List() []registry.Info }

// ReporterParams are what a reporter reports of.
type ReporterParams struct {
	Recorder *Recorder
	Plugins  Plugins
	// Timeline tells how long the start took.
	Timeline *lifecycle.Timeline
	// Collectors are the modules' own metrics.
	Collectors []prometheus.Collector
	Checks     []Check
	Log        *zap.Logger
}

// Reporter tells how the daemon is.
type Reporter struct {
	params  ReporterParams
	metrics http.Handler
}

// NewReporter makes a reporter. The recorder is given its collectors, so that
// it has one reporter at most.
func NewReporter(p ReporterParams) (*Reporter, error) {
	// The group from which they come has no order.
	slices.SortFunc(p.Checks, func(a, b Check) int { return cmp.Compare(a.Name, b.Name) })
	for _, c := range append(slices.Clip(p.Collectors), buildInfo(), pluginStates{p.Plugins}, bootDuration(p.Timeline)) {
		if err := p.Recorder.metrics.Register(c); err != nil {
			return nil, fmt.Errorf("metrics: %w", err)
		}
	}
	errorLog, err := zap.NewStdLogAt(p.Log, zap.WarnLevel)
	if err != nil {
		return nil, err
	}
	return &Reporter{params: p, metrics: promhttp.HandlerFor(
		prometheus.Gatherers{p.Recorder.metrics, prometheus.DefaultGatherer},
		promhttp.HandlerOpts{ErrorLog: errorLog, ErrorHandling: promhttp.ContinueOnError, MaxRequestsInFlight: maxScrapes, EnableOpenMetrics: true},
	)}, nil
}

// Health looks how the daemon is, which takes some seconds at most.
func (r *Reporter) Health(ctx context.Context) Health {
	return healthOf(ctx, r.params.Plugins.List(), r.params.Checks)
}

// ServeMetrics answers with the metrics, as Prometheus reads them.
func (r *Reporter) ServeMetrics(w http.ResponseWriter, req *http.Request) {
	r.metrics.ServeHTTP(w, req)
}

// ServeHealth answers with the daemon's Health: status 200, or 503 where it
// does not work.
func (r *Reporter) ServeHealth(w http.ResponseWriter, req *http.Request) {
	h, status := r.Health(req.Context()), http.StatusOK
	if h.Status == NotReady {
		status = http.StatusServiceUnavailable
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(h) // else nobody is there any longer
}
