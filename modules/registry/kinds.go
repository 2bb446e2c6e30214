package registry

import (
	"context"

	containerd "github.com/containerd/containerd/v2/client"

	"github.com/pouchfx/pouchfx/plugins"
	"github.com/pouchfx/pouchfx/types"
)

// cri is the chain of KindCri.
type cri struct{ *chain[plugins.CriPlugin] }

// NewCri makes the chain of CRI plugins.
func NewCri(r *Roster, provided []*plugins.Registration) (plugins.CriPlugin, error) {
	c, err := newChain[plugins.CriPlugin](r, plugins.KindCri, provided)
	return cri{c}, err
}

// PreCreateContainer leaves config as the last plugin left its copy. Each
// plugin has a copy of the sandbox to itself.
func (c cri) PreCreateContainer(ctx context.Context, config *types.ContainerCreateConfig, sandbox any) error {
	after, err := run(ctx, c.chain, hook[plugins.CriPlugin, *types.ContainerCreateConfig]{
		name: "PreCreateContainer", document: createDocument, copy: clone[*types.ContainerCreateConfig], describe: compare[*types.ContainerCreateConfig],
		call: func(ctx context.Context, p plugins.CriPlugin, config *types.ContainerCreateConfig) (*types.ContainerCreateConfig, error) {
			if err := p.PreCreateContainer(ctx, config, clone(sandbox)); err != nil {
				return nil, err
			}
			return config, complete(ctx, config)
		},
	}, config)
	if err == nil && after != config {
		*config = *after
	}
	return err
}

// images is the chain of KindImage.
type images struct{ *chain[plugins.ImagePlugin] }

// NewImages makes the chain of image plugins.
func NewImages(r *Roster, provided []*plugins.Registration) (plugins.ImagePlugin, error) {
	c, err := newChain[plugins.ImagePlugin](r, plugins.KindImage, provided)
	return images{c}, err
}

// PostPull shows the image to each plugin; it is not copied.
func (c images) PostPull(ctx context.Context, snapshotter string, image containerd.Image) error {
	_, err := run(ctx, c.chain, hook[plugins.ImagePlugin, containerd.Image]{
		name: "PostPull", copy: func(i containerd.Image) containerd.Image { return i },
		call: func(ctx context.Context, p plugins.ImagePlugin, image containerd.Image) (containerd.Image, error) {
			return image, p.PostPull(ctx, snapshotter, image)
		},
	}, image)
	return err
}

// volumes is the chain of KindVolume.
type volumes struct{ *chain[plugins.VolumePlugin] }

// NewVolumes makes the chain of volume plugins.
func NewVolumes(r *Roster, provided []*plugins.Registration) (plugins.VolumePlugin, error) {
	c, err := newChain[plugins.VolumePlugin](r, plugins.KindVolume, provided)
	return volumes{c}, err
}

// PreVolumeCreate leaves config as the last plugin left its copy.
func (c volumes) PreVolumeCreate(ctx context.Context, config *types.VolumeCreateConfig) error {
	after, err := run(ctx, c.chain, hook[plugins.VolumePlugin, *types.VolumeCreateConfig]{
		name: "PreVolumeCreate", document: "volume", subject: config.Name, copy: clone[*types.VolumeCreateConfig], describe: compare[*types.VolumeCreateConfig],
		call: func(ctx context.Context, p plugins.VolumePlugin, config *types.VolumeCreateConfig) (*types.VolumeCreateConfig, error) {
			return config, p.PreVolumeCreate(ctx, config)
		},
	}, config)
	if err == nil && after != config {
		*config = *after
	}
	return err
}
