package cri

import (
	"go.uber.org/fx"
	"go.uber.org/zap"

	"github.com/pouchfx/pouchfx/modules/config"
	"github.com/pouchfx/pouchfx/modules/containerd"
	_ "github.com/pouchfx/pouchfx/modules/containerd/criplugins" // for the embedded engine
	"github.com/pouchfx/pouchfx/modules/lifecycle"
	"github.com/pouchfx/pouchfx/modules/telemetry"
	"github.com/pouchfx/pouchfx/plugins"
)

// Module provides the *Endpoint.
var Module = fx.Module("cri", fx.Provide(provide))

type in struct {
	fx.In
	Lifecycle  fx.Lifecycle
	Config     *config.Config
	Engine     *containerd.Engine
	Cri        plugins.CriPlugin
	Containers plugins.ContainerPlugin
	Images     plugins.ImagePlugin
	Recorder   *telemetry.Recorder
	Fatal      lifecycle.Fatal
	Log        *zap.Logger
}

func provide(i in) *Endpoint {
	e := New(Params{
		Host: i.Config.CRIHost, Group: i.Config.Group, ShutdownTimeout: i.Config.ShutdownTimeout,
		Engine: i.Engine, Cri: i.Cri, Containers: i.Containers, Images: i.Images, Recorder: i.Recorder, Fatal: i.Fatal, Log: i.Log.Named("cri"),
	})
	i.Lifecycle.Append(fx.Hook{OnStart: e.Start, OnStop: e.Stop})
	return e
}

// DefaultHost is where a daemon listens that is there for Kubernetes.
const DefaultHost = "unix:///run/pouchfx/cri.sock"

// Always has the daemon serve CRI also where the configuration does not ask for
// it, at DefaultHost then.
var Always = fx.Decorate(func(c *config.Config) *config.Config {
	if c.CRIHost != "" {
		return c
	}
	changed := *c
	changed.CRIHost = DefaultHost
	return &changed
})
