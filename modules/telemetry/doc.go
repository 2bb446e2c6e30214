// Package telemetry lets operators watch the daemon: Prometheus metrics,
// OpenTelemetry spans, and health.
//
// Three parts do this. The [Recorder] is told as hooks, API requests and CRI
// calls begin and end; it counts them, and makes spans of them where there is
// an [Exporter]. It needs nothing, because all else may need it. The [Reporter]
// shows what is known when somebody asks: the recorder's metrics, what modules
// count themselves, the plugins' states, and what the modules' checks of
// [Health] say. The [Server] serves it on an address of its own, which is all
// that a daemon without the HTTP API has; that serves the same below /pouchfx.
//
// Each daemon has a registry of metrics of its own. What is of the whole
// process comes from Prometheus' default one: Go, the process, and what
// containerd counts.
//
// Package otlp is the exporter. It is apart because of what it links.
package telemetry
