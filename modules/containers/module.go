package containers

import (
	"path/filepath"

	"go.uber.org/fx"
	"go.uber.org/zap"

	"github.com/pouchfx/pouchfx/modules/config"
	"github.com/pouchfx/pouchfx/modules/containerd"
	"github.com/pouchfx/pouchfx/modules/events"
	"github.com/pouchfx/pouchfx/modules/images"
	"github.com/pouchfx/pouchfx/modules/networks"
	"github.com/pouchfx/pouchfx/modules/telemetry"
	"github.com/pouchfx/pouchfx/modules/volumes"
	"github.com/pouchfx/pouchfx/plugins"
)

// Module provides the containers, as *Service.
var Module = fx.Module("containers", fx.Provide(provide, provideStates))

type in struct {
	fx.In
	Lifecycle fx.Lifecycle
	Config    *config.Config
	Engine    *containerd.Engine
	Images    *images.Service
	Volumes   *volumes.Service
	Networks  *networks.Service
	Hooks     plugins.ContainerPlugin
	Events    *events.Bus
	Log       *zap.Logger
}

func provide(i in) *Service {
	s := New(Params{
		Engine: i.Engine, Images: i.Images, Volumes: i.Volumes, Networks: i.Networks, Hooks: i.Hooks, Events: i.Events,
		Log: i.Log.Named("containers"), Root: i.Config.DataRoot, ExecRoot: i.Config.ExecRoot,
		Bundles: bundles(i.Config), StopContainers: !i.Config.LiveRestore,
	})
	i.Lifecycle.Append(fx.Hook{OnStart: s.Open, OnStop: s.Close})
	return s
}

// bundles is where containerd keeps what belongs to running tasks.
func bundles(c *config.Config) string {
	state := filepath.Join(c.ExecRoot, "containerd")
	if c.Containerd != "" {
		state = "/run/containerd" // the default of an external one
	}
	return filepath.Join(state, "io.containerd.runtime.v2.task", containerd.Namespace)
}

func provideStates(s *Service) telemetry.Collected { return telemetry.Collected{Collector: states{s}} }
