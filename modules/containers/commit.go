package containers

import (
	"context"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/containerd/errdefs"
	"github.com/distribution/reference"
	dockerspec "github.com/moby/docker-image-spec/specs-go/v1"
	"github.com/moby/moby/api/types/container"
	eventtypes "github.com/moby/moby/api/types/events"
	imagespec "github.com/opencontainers/image-spec/specs-go/v1"
	"go.uber.org/zap"

	"github.com/pouchfx/pouchfx/modules/images"
)

// CommitOptions say what becomes of a container's files.
type CommitOptions struct {
	// Target is the image's name; nil leaves it without one.
	Target reference.NamedTagged
	// Pause freezes the container while its files are read.
	Pause           bool
	Author, Comment string
	// Changes are instructions of a Dockerfile, applied to the configuration.
	Changes []string
	// Config takes the place of the container's own; what it leaves empty
	// is the container's. It may be nil.
	Config *container.Config
}

// Commit makes an image of a container, running or not, and returns its ID.
// What is in volumes and other mounts is no part of it.
func (s *Service) Commit(ctx context.Context, name string, o CommitOptions) (string, error) {
	c, err := s.index.get(name)
	if err != nil {
		return "", err
	}
	resume, err := s.pauseFor(ctx, c, o.Pause)
	if err != nil {
		return "", err
	}
	defer resume()
	if err := c.op.lock(ctx); err != nil { // so that nobody removes it
		return "", err
	}
	unlock := sync.OnceFunc(c.op.unlock)
	defer unlock()
	if c.status() == statusRemoving {
		return "", conflict("You cannot commit container %s which is being removed", c.id)
	}
	r := c.record()
	config := committed(&r.Config.Config, o.Config)
	id, err := s.Images.Commit(ctx, images.CommitOptions{
		Parent: r.ImageID, Snapshotter: r.Snapshotter, Snapshot: c.id, Without: madeByRuntime,
		Read:   func() { unlock(); resume() },
		Config: imageConfig(config), Changes: o.Changes, Target: o.Target,
		Author: o.Author, Comment: o.Comment, CreatedBy: strings.Join(r.Config.Cmd, " "),
	})
	if err != nil {
		return "", err
	}
	named := ""
	if o.Target != nil {
		named = reference.FamiliarString(o.Target)
	}
	s.publish(c, eventtypes.ActionCommit, "comment", o.Comment, "imageID", id.String(), "imageRef", named)
	return id.String(), nil
}

// pauseFor freezes a container that runs, if asked to and nobody else did.
// What it returns, which may be called twice, lets it go on.
func (s *Service) pauseFor(ctx context.Context, c *ctr, asked bool) (resume func(), err error) {
	if !asked || c.status() != statusRunning {
		return func() {}, nil
	}
	err = s.freeze(ctx, c.id, true)
	if errdefs.IsConflict(err) || errdefs.IsNotFound(err) { // it ended, or was paused, in between
		return func() {}, nil
	}
	return sync.OnceFunc(func() {
		err := s.freeze(context.WithoutCancel(ctx), c.id, false)
		if err != nil && !errdefs.IsConflict(err) && !errdefs.IsNotFound(err) {
			s.Log.Error("cannot resume a container after its commit", containerField(c), zap.Error(err))
		}
	}), err
}

// committed is the configuration that an image inherits from a container.
func committed(own, given *container.Config) *container.Config {
	if given == nil {
		return own
	}
	config := *given
	inherited := imageConfig(own)
	mergeImage(&config, &inherited)
	if config.Healthcheck == nil {
		config.Healthcheck = own.Healthcheck
	}
	return &config
}

// imageConfig is the part of a container's configuration that images have. It
// shares nothing with it that is written to.
func imageConfig(c *container.Config) dockerspec.DockerOCIImageConfig {
	config := dockerspec.DockerOCIImageConfig{
		ImageConfig: imagespec.ImageConfig{
			User: c.User, Env: slices.Clone(c.Env), Entrypoint: slices.Clone(c.Entrypoint), Cmd: slices.Clone(c.Cmd),
			Volumes: maps.Clone(c.Volumes), WorkingDir: c.WorkingDir, Labels: maps.Clone(c.Labels), StopSignal: c.StopSignal,
		},
		DockerOCIImageConfigExt: dockerspec.DockerOCIImageConfigExt{
			Healthcheck: c.Healthcheck, OnBuild: slices.Clone(c.OnBuild), Shell: slices.Clone(c.Shell),
		},
	}
	for port := range c.ExposedPorts {
		if config.ExposedPorts == nil {
			config.ExposedPorts = map[string]struct{}{}
		}
		config.ExposedPorts[port.String()] = struct{}{}
	}
	return config
}
