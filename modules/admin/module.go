package admin

import (
	"path/filepath"

	"go.uber.org/fx"
	"go.uber.org/zap"

	"github.com/pouchfx/pouchfx/modules/config"
	"github.com/pouchfx/pouchfx/modules/containerd"
	"github.com/pouchfx/pouchfx/modules/explain"
	"github.com/pouchfx/pouchfx/modules/lifecycle"
	"github.com/pouchfx/pouchfx/modules/registry"
	"github.com/pouchfx/pouchfx/modules/telemetry"
)

// SocketName is the name of the socket below the exec-root. With the default
// of that it is where other daemons have Docker's API.
const SocketName = "pouchfx.sock"

// Module provides the *Server.
var Module = fx.Module("admin", fx.Provide(provide))

type in struct {
	fx.In
	Lifecycle fx.Lifecycle
	Config    *config.Config
	Engine    *containerd.Engine
	Registry  *registry.Registry
	Reporter  *telemetry.Reporter
	Fatal     lifecycle.Fatal
	Log       *zap.Logger
}

func provide(i in) *Server {
	s := New(Params{
		Socket: filepath.Join(i.Config.ExecRoot, SocketName), Group: i.Config.Group,
		Plugins: i.Registry, Pods: explain.Pods{Engine: i.Engine}, Reporter: i.Reporter, Fatal: i.Fatal, Log: i.Log.Named("admin"),
	})
	i.Lifecycle.Append(fx.Hook{OnStart: s.Start, OnStop: s.Stop})
	return s
}
