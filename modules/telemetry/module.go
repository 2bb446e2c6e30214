package telemetry

import (
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/fx"
	"go.uber.org/zap"

	"github.com/pouchfx/pouchfx/modules/config"
	"github.com/pouchfx/pouchfx/modules/lifecycle"
	"github.com/pouchfx/pouchfx/modules/registry"
)

// Module provides the *Recorder, which is the registry's observer, the
// *Reporter and the *Server.
//
// A module adds what it knows by providing a Checked or a Collected; an
// Exporter, where one is provided, is opened before the daemon plugins start
// and closed when they have stopped.
var Module = fx.Module("telemetry", fx.Provide(provideRecorder, provideReporter, provideServer))

// Checked is a check among those of the daemon's health.
type Checked struct {
	fx.Out
	Check Check `group:"health"`
}

// Collected is a collector among those of the daemon's metrics.
type Collected struct {
	fx.Out
	Collector prometheus.Collector `group:"metrics"`
}

type recorderIn struct {
	fx.In
	Lifecycle fx.Lifecycle
	Exporter  Exporter `optional:"true"`
	Log       *zap.Logger
}

func provideRecorder(i recorderIn) (*Recorder, registry.Observer) {
	r := New(i.Exporter, i.Log.Named("telemetry"))
	if i.Exporter != nil {
		i.Lifecycle.Append(fx.Hook{OnStart: r.Start, OnStop: r.Stop})
	}
	return r, r
}

type reporterIn struct {
	fx.In
	Recorder   *Recorder
	Registry   *registry.Registry
	Timeline   *lifecycle.Timeline    `optional:"true"`
	Collectors []prometheus.Collector `group:"metrics"`
	Checks     []Check                `group:"health"`
	Log        *zap.Logger
}

func provideReporter(i reporterIn) (*Reporter, error) {
	return NewReporter(ReporterParams{
		Recorder: i.Recorder, Plugins: i.Registry, Timeline: i.Timeline, Collectors: i.Collectors, Checks: i.Checks, Log: i.Log.Named("telemetry"),
	})
}

// provideServer makes the server of the setting metrics-addr, which must not
// be empty.
func provideServer(lc fx.Lifecycle, c *config.Config, r *Reporter, fatal lifecycle.Fatal, log *zap.Logger) *Server {
	s := NewServer(c.MetricsAddr, c.Group, r, fatal, log.Named("telemetry"))
	lc.Append(fx.Hook{OnStart: s.Start, OnStop: s.Stop})
	return s
}
