package containers

import (
	"context"
	"maps"
	"path"
	"slices"
	"time"

	coremount "github.com/containerd/containerd/v2/core/mount"
	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/pouchfx/pouchfx/modules/containers/ocispec"
	"github.com/pouchfx/pouchfx/modules/containers/runtimehook"
	"github.com/pouchfx/pouchfx/modules/registry"
	"github.com/pouchfx/pouchfx/plugins"
	"github.com/pouchfx/pouchfx/types"
)

// hookTimeout bounds one runtime hook, in seconds.
var hookTimeout = int(plugins.RuntimeHookLimit / time.Second)

// spec makes the specification of one start. start is the container as the
// PreStart hooks left it.
func (s *Service) spec(ctx context.Context, c *ctr, start *types.Container, net *joining, hooks []specs.Hook, undo *undoList) (*specs.Spec, error) {
	r := c.record()
	list, err := withPoints(r.Mounts, start.Mounts)
	if err != nil {
		return nil, err
	}
	in := ocispec.Input{
		Config: start.Config, HostConfig: start.HostConfig, Annotations: start.Annotations, Hooks: hooks,
		CgroupsPath: s.cgroupPath(c.id, r), Init: s.initProgram(),
	}
	if !start.HostConfig.UTSMode.IsHost() {
		in.Hostname = start.Config.Hostname
	}
	if in.Mounts, err = s.writeFiles(c, start); err != nil {
		return nil, err
	}
	in.Mounts = slices.DeleteFunc(in.Mounts, func(m specs.Mount) bool { // the container's own go first
		return slices.ContainsFunc(start.Mounts, func(p types.MountPoint) bool { return p.Destination == m.Destination })
	})
	own, err := s.mountAll(ctx, c, list, undo)
	if err != nil {
		return nil, err
	}
	in.Mounts = append(in.Mounts, own...)
	if net != nil {
		in.NetNS = net.netns
	} else if in.NetNS, err = s.joined(start.HostConfig.NetworkMode.ConnectedContainer(), "net"); err != nil {
		return nil, err
	}
	if in.PidNS, err = s.joined(start.HostConfig.PidMode.Container(), "pid"); err != nil {
		return nil, err
	}
	if in.IpcNS, in.Shm, err = s.joinIPC(ctx, c, start.HostConfig, undo); err != nil {
		return nil, err
	}
	if in.Seccomp, err = s.canSeccomp(ctx); err != nil {
		return nil, err
	}
	err = s.withRootfs(ctx, c, func(root string) (err error) {
		in.User, err = ocispec.ResolveUser(root, start.Config.User, start.HostConfig.GroupAdd)
		return err
	})
	if err != nil {
		return nil, err
	}
	return ocispec.Build(in)
}

// joined is the path of a namespace of another container that runs.
func (s *Service) joined(ref, kind string) (string, error) {
	if ref == "" {
		return "", nil
	}
	other, err := s.index.get(ref)
	if err != nil {
		return "", err
	}
	r := other.current()
	if r == nil {
		return "", conflict("cannot join %s namespace of a non running container: %s", kind, other.id)
	}
	return procPath(r.pid, "ns", kind), nil
}

// withRootfs mounts the root filesystem of a container that does not run, for
// reading, for the time of f. It does not wait for the end of the mount, which
// takes the kernel 5 ms and is in nobody's way: the engine mounts what is in
// it a second time, and a mount for reading holds nothing of it.
func (s *Service) withRootfs(ctx context.Context, c *ctr, f func(root string) error) error {
	mounts, err := s.rootMounts(ctx, c)
	if err != nil {
		return err
	}
	result := make(chan error, 1)
	s.owned.Go(func() {
		called := false
		err := coremount.WithReadonlyTempMount(context.WithoutCancel(ctx), mounts, func(root string) error {
			called = true
			result <- f(root)
			return nil
		})
		if !called {
			result <- err
		} else if err != nil { // the next start of the daemon removes it
			s.Log.Warn("cannot unmount a container's root filesystem", containerField(c), errorField(err))
		}
	})
	return <-result
}

// cgroupPath is where the container's limits are, as runc wants it.
func (s *Service) cgroupPath(id string, r *record) string {
	parent := r.HostConfig.CgroupParent
	if parent == "" {
		parent = s.Engine.CgroupParent()
	}
	return path.Join("/", parent, id)
}

// annotations of a container's specification, before the hooks.
func annotations(r *record) map[string]string {
	all := maps.Clone(r.HostConfig.Annotations)
	if all == nil {
		all = map[string]string{}
	}
	maps.Copy(all, r.Config.SpecAnnotation)
	return all
}

// about has the request of a context tell hooks which container it is about.
func about(ctx context.Context, c *ctr) context.Context {
	request, record := plugins.RequestFrom(ctx), c.record()
	request.ID, request.Name, request.Image = c.id, record.Name, record.Image
	request.Labels = maps.Clone(record.Config.Labels)
	return plugins.WithRequest(ctx, request)
}

// preStart runs the hooks on a view of the container and returns it with the
// runtime hooks, sorted, our network entry among them.
func (s *Service) preStart(ctx context.Context, c *ctr) (*types.Container, []specs.Hook, error) {
	view := s.view(c)
	priorities, args, err := s.Hooks.PreStart(ctx, view)
	if err != nil {
		return nil, nil, err
	}
	// The network's own entry has its place among those of plugins, as the first
	// of priority 0. Where there are no others there is no need for an order:
	// the network is set up while the runtime makes the container.
	if len(args) > 0 && c.record().ownsNetwork() {
		priorities = append([]int{0}, priorities...)
		args = append([][]string{append([]string{s.Engine.Executable()}, runtimehook.Args(s.door.Path())...)}, args...)
	}
	sorted, err := registry.RuntimeHooks(priorities, args)
	if err != nil {
		return nil, nil, err
	}
	hooks := make([]specs.Hook, len(sorted))
	for i, h := range sorted {
		// Without an environment of its own a hook would get the daemon's.
		hooks[i] = specs.Hook{Path: h.Path, Args: h.Args, Env: []string{"PATH=" + ocispec.DefaultPath}, Timeout: &hookTimeout}
	}
	return view, hooks, nil
}

// view is the container as the PreStart hooks see it; they change it without
// reaching the record.
func (s *Service) view(c *ctr) *types.Container {
	r := c.record()
	config, host := r.Config, r.HostConfig
	config.Env = slices.Clone(config.Env)
	if other, err := s.index.get(host.NetworkMode.ConnectedContainer()); err == nil {
		config.Hostname, config.Domainname = other.record().Config.Hostname, other.record().Config.Domainname
	}
	return &types.Container{
		ID: c.id, Name: r.Name, Image: r.Image, Config: &config, HostConfig: &host,
		Mounts: mountPoints(r.Mounts), Annotations: annotations(r),
		NetworkSettings: s.networkSettings(c), BaseFS: s.baseFS(c.id),
	}
}
