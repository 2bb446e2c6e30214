package registry

import (
	"go.uber.org/fx"
	"go.uber.org/zap"

	"github.com/pouchfx/pouchfx/plugins"
)

// Module provides the chain of each kind as the kind's interface, Daemons and
// *Registry. Each has a constructor of its own, so that asking for one
// constructs the plugins of its kind only; *Registry asks for all.
var Module = fx.Module("registry", fx.Provide(
	provideRoster, provideAPI, provideContainers, provideCri, provideDaemons, provideImages, provideVolumes, provideRegistry,
))

// rosterIn is what a roster is made of; without the optional parts hooks are
// observed by nobody, and each kind is ordered by itself.
type rosterIn struct {
	fx.In
	Settings plugins.Settings
	Log      *zap.Logger
	Observer Observer `optional:"true"`
	Order    Ordered  `optional:"true"`
}

// Ordered are all plugins of the daemon in their order (see Order), which need
// not be constructed for it.
type Ordered []*plugins.Registration

func provideRoster(i rosterIn) (*Roster, error) {
	var opts []Option
	if i.Observer != nil {
		opts = append(opts, WithObserver(i.Observer))
	}
	if i.Order != nil {
		opts = append(opts, InOrder(i.Order))
	}
	return NewRoster(i.Settings, plugins.Registered(), i.Log.Named("plugins"), opts...)
}

func provideAPI(r *Roster, in plugins.APIRegistrations) (plugins.APIPlugin, error) {
	return NewAPI(r, in.All)
}

func provideContainers(r *Roster, in plugins.ContainerRegistrations) (plugins.ContainerPlugin, error) {
	return NewContainers(r, in.All)
}

func provideCri(r *Roster, in plugins.CriRegistrations) (plugins.CriPlugin, error) {
	return NewCri(r, in.All)
}

func provideDaemons(r *Roster, in plugins.DaemonRegistrations) (Daemons, error) {
	return NewDaemons(r, in.All)
}

func provideImages(r *Roster, in plugins.ImageRegistrations) (plugins.ImagePlugin, error) {
	return NewImages(r, in.All)
}

func provideVolumes(r *Roster, in plugins.VolumeRegistrations) (plugins.VolumePlugin, error) {
	return NewVolumes(r, in.All)
}

func provideRegistry(
	r *Roster, api plugins.APIRegistrations, container plugins.ContainerRegistrations, cri plugins.CriRegistrations,
	daemon plugins.DaemonRegistrations, image plugins.ImageRegistrations, volume plugins.VolumeRegistrations,
) (*Registry, error) {
	return New(r, map[plugins.Kind][]*plugins.Registration{
		plugins.KindAPI: api.All, plugins.KindContainer: container.All, plugins.KindCri: cri.All,
		plugins.KindDaemon: daemon.All, plugins.KindImage: image.All, plugins.KindVolume: volume.All,
	})
}
