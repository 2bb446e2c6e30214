package containerd

import (
	"context"

	"go.uber.org/fx"
	"go.uber.org/zap"

	"github.com/pouchfx/pouchfx/modules/config"
	"github.com/pouchfx/pouchfx/modules/lifecycle"
	"github.com/pouchfx/pouchfx/modules/telemetry"
)

// Module provides the engine.
var Module = fx.Module("containerd", fx.Provide(provide, health))

func provide(lc fx.Lifecycle, c *config.Config, fatal lifecycle.Fatal, log *zap.Logger) *Engine {
	e := New(Config{
		Root:        c.DataRoot,
		State:       c.ExecRoot,
		Address:     c.Containerd,
		Snapshotter: c.Snapshotter,
		CRI:         criConfig(c),
	}, log.Named("containerd"))
	watch := lifecycle.NewWatch(e.Failed(), fatal)
	lc.Append(fx.Hook{OnStart: e.Start, OnStop: e.Stop})
	lc.Append(fx.Hook{OnStart: watch.Start, OnStop: watch.Stop})
	return e
}

// criConfig is nil when nobody asks for CRI.
func criConfig(c *config.Config) *CRIConfig {
	if c.CRIHost == "" {
		return nil
	}
	cri := &CRIConfig{
		CNIConfDir:    c.CRI.CNIConfDir,
		CNIBinDirs:    c.CRI.CNIBinDirs,
		RegistryDirs:  c.CRI.RegistryDirs,
		SandboxImage:  c.CRI.SandboxImage,
		CgroupDriver:  c.CRI.CgroupDriver,
		StreamAddress: c.CRI.StreamAddress,
		Runtimes:      map[string]CRIRuntime{},
	}
	for name, r := range c.CRI.Runtimes {
		cri.Runtimes[name] = CRIRuntime{
			Binary: r.Path, Shim: r.Shim, Options: r.Options,
			PodAnnotations: r.PodAnnotations, ContainerAnnotations: r.ContainerAnnotations,
			Snapshotter: r.Snapshotter, PrivilegedWithoutHostDevices: r.PrivilegedWithoutHostDevices,
		}
	}
	return cri
}

// health is the engine's part of the daemon's health.
func health(e *Engine) telemetry.Checked {
	return telemetry.Checked{Check: telemetry.Check{Name: "containerd", Run: func(ctx context.Context) error {
		_, err := e.Versions(ctx)
		return err
	}}}
}
