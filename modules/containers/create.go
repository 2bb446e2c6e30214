package containers

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	corecontainers "github.com/containerd/containerd/v2/core/containers"
	"github.com/containerd/containerd/v2/core/leases"
	coremount "github.com/containerd/containerd/v2/core/mount"
	"github.com/containerd/errdefs"
	"github.com/containerd/typeurl/v2"
	"github.com/moby/moby/api/types/container"
	eventtypes "github.com/moby/moby/api/types/events"
	"github.com/opencontainers/image-spec/identity"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	specs "github.com/opencontainers/runtime-spec/specs-go"
	"go.uber.org/zap"

	"github.com/pouchfx/pouchfx/modules/containers/mountspec"
	"github.com/pouchfx/pouchfx/modules/explain"
	"github.com/pouchfx/pouchfx/modules/images"
	"github.com/pouchfx/pouchfx/modules/registry"
	"github.com/pouchfx/pouchfx/plugins"
	"github.com/pouchfx/pouchfx/types"
)

const (
	dockerMark  = "/.dockerenv"
	leasePrefix = "pouchfx/create/"
	labelOp     = "pouchfx/op"
	opCreate    = "create"
	// labelVolume and a volume's name mark, on a create's lease, a volume
	// that the create makes.
	labelVolume = "pouchfx/volume/"
	// labelSnapshotter says where the create makes its snapshot.
	labelSnapshotter = "pouchfx/snapshotter"
	// undoTimeout bounds the undoing of a create or a start.
	undoTimeout = 30 * time.Second
)

// CreateOptions are what Create makes a container from.
type CreateOptions struct {
	// Name of the container; empty means one is invented.
	Name string
	// Platform that the image must have; nil means any.
	Platform *ocispec.Platform
	// Config is not changed.
	Config *types.ContainerCreateConfig
}

// Create makes a container. When it fails, at whatever step, nothing of it is
// left.
func (s *Service) Create(ctx context.Context, o CreateOptions) (resp container.CreateResponse, err error) {
	var undo undoList
	var left error // what plugins did and could not undo
	defer func() {
		if err != nil {
			undo.run(s.background, s.Log)
		}
		if left != nil {
			err = fmt.Errorf("%w; %v", err, left) // the class is that of the cause
		}
	}()
	name, err := s.takeName(o.Name)
	if err != nil {
		return resp, err
	}
	undo.add("name", func(context.Context) error { s.index.release(name); return nil })
	ctx, hooks := registry.Begin(ctx)
	undo.add("plugins", func(ctx context.Context) error {
		left = hooks.Undo(context.WithoutCancel(ctx)) // each has a timeout of its own; the rest must not use it up
		return nil
	})
	config, err := s.preCreate(ctx, name, o.Config)
	if err != nil {
		return resp, err
	}
	// From here on it is done or undone, whether the client stays or not.
	ctx = s.Engine.Context(context.WithoutCancel(ctx))
	r, img, warnings, err := s.plan(ctx, name, config, o.Platform)
	if err != nil {
		return resp, err
	}
	resp.Warnings = warnings
	if r.Snapshotter == "" {
		r.Snapshotter = s.Engine.Snapshotter()
	}
	if resp.ID = config.SpecificID; resp.ID == "" {
		resp.ID = newID()
	}
	c := newCtr(resp.ID, r, s.newLog(resp.ID, r.HostConfig.LogConfig))
	if r.Config.Hostname == "" && !r.HostConfig.UTSMode.IsHost() {
		r.Config.Hostname = defaultHostname(c.id, r)
	}
	if err := s.allocate(ctx, c, img, hooks, &undo); err != nil {
		return resp, err
	}
	s.publish(c, eventtypes.ActionCreate)
	return resp, nil
}

// plan makes the record of a container from what the hooks left, and finds its
// image. It checks all that can be checked beforehand, and allocates nothing.
func (s *Service) plan(ctx context.Context, name string, config *types.ContainerCreateConfig, platform *ocispec.Platform) (*record, *images.Image, []string, error) {
	if err := s.planNetworks(config); err != nil {
		return nil, nil, nil, err
	}
	warnings, err := validate(config)
	if err != nil {
		return nil, nil, nil, err
	}
	if err := s.checkEndpoints(config); err != nil {
		return nil, nil, nil, err
	}
	img, err := s.image(ctx, config.Image, platform)
	if err != nil {
		return nil, nil, nil, err
	}
	inherited, err := s.volumesFrom(config.HostConfig)
	if err != nil {
		return nil, nil, nil, err
	}
	r, err := newRecord(name, config, img, inherited)
	if warnings == nil {
		warnings = []string{}
	}
	return r, img, warnings, err
}

// takeName reserves the name that was asked for, or an invented one.
func (s *Service) takeName(asked string) (string, error) {
	if asked == "" {
		return s.index.reserveInvented(), nil
	}
	name, err := cleanName(asked)
	if err != nil {
		return "", err
	}
	return name, s.index.reserve(name)
}

// preCreate runs the hooks on a copy of the configuration.
func (s *Service) preCreate(ctx context.Context, name string, from *types.ContainerCreateConfig) (*types.ContainerCreateConfig, error) {
	config := *from
	if config.HostConfig == nil {
		config.HostConfig = &types.HostConfig{}
	}
	if config.NetworkingConfig == nil {
		config.NetworkingConfig = &types.NetworkingConfig{}
	}
	request := plugins.RequestFrom(ctx)
	request.Name = name
	if err := s.Hooks.PreCreate(plugins.WithRequest(ctx, request), &config); err != nil {
		return nil, err
	}
	host, network := *config.HostConfig, *config.NetworkingConfig // validate fills in what is missing
	config.HostConfig, config.NetworkingConfig = &host, &network
	return &config, nil
}

// image finds the image, and checks that it is of the platform, if one is given.
func (s *Service) image(ctx context.Context, name string, platform *ocispec.Platform) (*images.Image, error) {
	if name == "" {
		return nil, invalid("no image specified")
	}
	img, err := s.Images.Resolve(ctx, name)
	if err != nil {
		return nil, err
	}
	if p := img.Spec.Platform; platform != nil &&
		(platform.OS != "" && platform.OS != p.OS || platform.Architecture != "" && platform.Architecture != p.Architecture) {
		return nil, notFound("image with reference %s was found but does not provide the specified platform (%s/%s)", name, platform.OS, platform.Architecture)
	}
	return img, nil
}

func newRecord(name string, config *types.ContainerCreateConfig, img *images.Image, inherited []mountspec.Mount) (*record, error) {
	r := &record{
		Name: name, Image: config.Image, ImageID: img.ID, Platform: cmp.Or(img.Spec.OS, "linux"), Created: time.Now().UTC(),
		Config: config.ContainerConfig, HostConfig: *config.HostConfig, NetworkingConfig: *config.NetworkingConfig,
		Snapshotter: config.Snapshotter,
	}
	mergeImage(&r.Config.Config, &img.Config)
	if len(r.Config.Entrypoint)+len(r.Config.Cmd) == 0 {
		return nil, invalid("no command specified")
	}
	var err error
	if r.Mounts, err = mountspec.Parse(&r.HostConfig, r.Config.Volumes, inherited...); err != nil {
		return nil, err
	}
	return r, missingSource(r.Mounts)
}

// allocate makes what a container is made of, from its lease to its record.
func (s *Service) allocate(ctx context.Context, c *ctr, img *images.Image, hooks *registry.Operation, undo *undoList) error {
	made, err := s.planVolumes(ctx, c.record())
	if err != nil {
		return err
	}
	lease, err := s.lease(ctx, c, made)
	if err != nil {
		return err
	}
	undo.add("lease", func(ctx context.Context) error {
		return s.Engine.Client().LeasesService().Delete(ctx, lease)
	})
	leased := leases.WithLease(ctx, lease.ID)
	if err := s.snapshot(leased, c, img, undo); err != nil {
		return err
	}
	if err := s.makeVolumes(leased, c, made, undo); err != nil {
		return err
	}
	undo.add("directory", func(context.Context) error { return os.RemoveAll(s.dir(c.id)) })
	if err := os.MkdirAll(s.dir(c.id), 0o710); err != nil {
		return err
	}
	if err := s.save(leased, c, hooks.Changes()); err != nil {
		return err
	}
	undo.add("record", func(ctx context.Context) error { return s.Engine.Client().ContainerService().Delete(ctx, c.id) })
	if err := s.index.add(c); err != nil {
		return err
	}
	if err := s.Engine.Client().LeasesService().Delete(ctx, lease); err != nil {
		// The container is complete; the next start removes the lease.
		s.Log.Warn("cannot delete the lease of a create", zap.String("container", c.id), zap.Error(err))
	}
	return nil
}

// lease keeps what a create makes from being collected, and tells the next
// start what to undo.
func (s *Service) lease(ctx context.Context, c *ctr, made []string) (leases.Lease, error) {
	labels := map[string]string{labelOp: opCreate, labelSnapshotter: c.record().Snapshotter}
	for _, volume := range made {
		labels[labelVolume+volume] = "new" // containerd drops a label without a value
	}
	l, err := s.Engine.Client().LeasesService().Create(ctx, leases.WithID(leasePrefix+c.id), leases.WithLabels(labels), leases.WithExpiration(24*time.Hour))
	if errdefs.IsAlreadyExists(err) {
		return l, conflict("Conflict. The container id %s is already in use.", c.id)
	}
	return l, err
}

// snapshot makes the container's root filesystem.
func (s *Service) snapshot(ctx context.Context, c *ctr, img *images.Image, undo *undoList) error {
	name := c.record().Snapshotter
	snapshotter, err := s.snapshots(name)
	if err != nil {
		return err
	}
	parent := identity.ChainID(img.Spec.RootFS.DiffIDs).String()
	_, err = snapshotter.Prepare(ctx, c.id, parent)
	if errdefs.IsNotFound(err) { // not unpacked there yet
		if err := s.Images.Unpack(ctx, img, name); err != nil {
			return fmt.Errorf("cannot unpack image %s into snapshotter %s: %w", c.record().Image, name, err)
		}
		_, err = snapshotter.Prepare(ctx, c.id, parent)
	}
	switch {
	case errdefs.IsAlreadyExists(err):
		return conflict("Conflict. The container id %s is already in use.", c.id)
	case err != nil:
		return fmt.Errorf("cannot make the root filesystem: %w", err)
	}
	undo.add("snapshot", func(ctx context.Context) error { return snapshotter.Remove(ctx, c.id) })
	mounts, err := snapshotter.Mounts(ctx, c.id)
	if err != nil {
		return err
	}
	return markDocker(mounts)
}

// markDocker puts /.dockerenv, by which programs know that they are in one of
// Docker's containers, into a root filesystem that nobody has mounted yet. It
// goes where the snapshotter keeps what is written: to mount the whole for it
// would take milliseconds, and wait for the disk when it is unmounted.
func markDocker(mounts []coremount.Mount) error {
	dir := upperDir(mounts)
	if len(mounts) == 1 && mounts[0].Type == "bind" {
		dir = mounts[0].Source
	}
	if dir == "" {
		return nil
	}
	return os.WriteFile(filepath.Join(dir, dockerMark), nil, 0o755)
}

// save writes the container's first record, and what plugins made of it.
func (s *Service) save(ctx context.Context, c *ctr, changes []registry.Change) error {
	r := c.record()
	value, err := r.encode()
	if err != nil {
		return err
	}
	extensions := map[string]typeurl.Any{extension: value}
	if len(changes) > 0 {
		if extensions[explain.Extension], err = (&explain.Explanation{Create: changes}).Encode(); err != nil {
			return err
		}
		c.explained.Store(true)
	}
	// Every start writes a specification of its own; the store wants one now.
	spec, err := typeurl.MarshalAny(&specs.Spec{Version: specs.Version})
	if err != nil {
		return err
	}
	runtime, options := s.Engine.Runtime()
	runtimeOptions, err := typeurl.MarshalAny(options)
	if err != nil {
		return err
	}
	_, err = s.Engine.Client().ContainerService().Create(ctx, corecontainers.Container{
		ID:          c.id,
		Labels:      map[string]string{labelName: r.Name, labelImageID: r.ImageID.String()},
		Image:       r.Image,
		Runtime:     corecontainers.RuntimeInfo{Name: runtime, Options: runtimeOptions},
		Spec:        spec,
		SnapshotKey: c.id, Snapshotter: r.Snapshotter,
		Extensions: extensions,
	})
	if errdefs.IsAlreadyExists(err) {
		return conflict("Conflict. The container id %s is already in use.", c.id)
	}
	return err
}
