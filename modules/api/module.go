package api

import (
	"go.uber.org/fx"
	"go.uber.org/zap"

	"github.com/pouchfx/pouchfx/modules/config"
	"github.com/pouchfx/pouchfx/modules/containerd"
	"github.com/pouchfx/pouchfx/modules/containers"
	"github.com/pouchfx/pouchfx/modules/events"
	"github.com/pouchfx/pouchfx/modules/explain"
	"github.com/pouchfx/pouchfx/modules/images"
	"github.com/pouchfx/pouchfx/modules/lifecycle"
	"github.com/pouchfx/pouchfx/modules/networks"
	"github.com/pouchfx/pouchfx/modules/registry"
	"github.com/pouchfx/pouchfx/modules/telemetry"
	"github.com/pouchfx/pouchfx/modules/volumes"
	"github.com/pouchfx/pouchfx/plugins"
)

// Module provides the *Server, which serves what the other modules do.
var Module = fx.Module("api", fx.Provide(provide))

type in struct {
	fx.In
	Lifecycle  fx.Lifecycle
	Config     *config.Config
	Containers *containers.Service
	Images     *images.Service
	Volumes    *volumes.Service
	Networks   *networks.Service
	Engine     *containerd.Engine
	Events     *events.Bus
	Registry   *registry.Registry
	Hooks      plugins.APIPlugin
	Timeline   *lifecycle.Timeline
	Recorder   *telemetry.Recorder
	Reporter   *telemetry.Reporter
	Fatal      lifecycle.Fatal
	Log        *zap.Logger
}

func provide(i in) *Server {
	s := New(Params{
		Config: i.Config, Containers: i.Containers, Images: i.Images, Volumes: i.Volumes, Networks: i.Networks, Engine: i.Engine, Pods: explain.Pods{Engine: i.Engine}, Events: i.Events,
		Plugins: i.Registry, Hooks: i.Hooks, Timeline: i.Timeline, Recorder: i.Recorder, Reporter: i.Reporter, Fatal: i.Fatal, Log: i.Log.Named("api"),
	})
	i.Lifecycle.Append(fx.Hook{OnStart: s.Start, OnStop: s.Stop})
	return s
}
