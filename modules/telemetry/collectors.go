package telemetry

import (
	"runtime"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/pouchfx/pouchfx/modules/build"
	"github.com/pouchfx/pouchfx/modules/lifecycle"
	"github.com/pouchfx/pouchfx/modules/registry"
)

// buildInfo is 1, with what there is to know as labels.
func buildInfo() prometheus.Collector {
	info := build.Read()
	g := prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "pouchfx_build_info",
		Help: "How the daemon was built; the value is 1.",
		ConstLabels: prometheus.Labels{
			"version": info.Version, "revision": info.Revision, "goversion": runtime.Version(),
		},
	})
	g.Set(1)
	return g
}

// bootDuration is how long the daemon took to start, up to the end of the last
// hook so far.
func bootDuration(timeline *lifecycle.Timeline) prometheus.Collector {
	return prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "pouchfx_boot_duration_seconds",
		Help: "How long the daemon took to start.",
	}, func() float64 {
		var end time.Duration
		if timeline == nil {
			return 0
		}
		for _, e := range timeline.Entries() {
			if e.Phase != lifecycle.Stop {
				end = max(end, e.At+e.Took)
			}
		}
		return end.Seconds()
	})
}

// pluginStates asks the plugins when the metrics are asked for.
type pluginStates struct{ plugins Plugins }

// Both have a series for each state, 1 for the one that holds.
var (
	statusDesc = prometheus.NewDesc("pouchfx_plugin_status",
		"The state of a plugin: 1 for the one that holds of running, disabled, failed, and skipped because its circuit breaker is open.",
		[]string{"plugin", "status"}, nil)
	breakerDesc = prometheus.NewDesc("pouchfx_plugin_breaker_state",
		"The state of a plugin's circuit breaker: 1 for the one that holds of closed, half-open and open. Plugins whose failures are not ignored have none.",
		[]string{"plugin", "state"}, nil)
)

func (pluginStates) Describe(descs chan<- *prometheus.Desc) {
	descs <- statusDesc
	descs <- breakerDesc
}

func (s pluginStates) Collect(metrics chan<- prometheus.Metric) {
	set := func(desc *prometheus.Desc, plugin, state string, holds bool) {
		value := 0.0
		if holds {
			value = 1
		}
		metrics <- prometheus.MustNewConstMetric(desc, prometheus.GaugeValue, value, plugin, state)
	}
	for _, p := range s.plugins.List() {
		for _, status := range []registry.Status{registry.Running, registry.Disabled, registry.Failed, registry.Tripped} {
			set(statusDesc, p.Name, string(status), p.Status == status)
		}
		if p.Breaker == nil {
			continue
		}
		for _, state := range []string{"closed", "half-open", "open"} {
			set(breakerDesc, p.Name, state, p.Breaker.State == state)
		}
	}
}
