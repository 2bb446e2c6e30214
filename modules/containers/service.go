package containers

import (
	"context"
	"path/filepath"
	"sync"

	"github.com/containerd/containerd/api/types/runc/options"
	"github.com/containerd/containerd/v2/client"
	"github.com/moby/moby/api/types/container"
	eventtypes "github.com/moby/moby/api/types/events"
	"github.com/moby/moby/api/types/network"
	"github.com/moby/moby/api/types/volume"
	"github.com/opencontainers/go-digest"
	"go.uber.org/zap"

	"github.com/pouchfx/pouchfx/modules/containerd"
	"github.com/pouchfx/pouchfx/modules/containers/runtimehook"
	"github.com/pouchfx/pouchfx/modules/images"
	"github.com/pouchfx/pouchfx/modules/networks"
	"github.com/pouchfx/pouchfx/networktypes"
	"github.com/pouchfx/pouchfx/plugins"
	"github.com/pouchfx/pouchfx/types"
)

// Engine is what runs containers.
type Engine interface {
	Client() *client.Client
	Context(context.Context) context.Context
	Snapshotter() string
	Runtime() (name string, opts *options.Options)
	Executable() string
	LastExit(id string) (containerd.Exit, bool)
	ReleaseOutput()
	CgroupParent() string
	Versions(context.Context) (containerd.Versions, error)
}

// Images is where containers' images come from.
type Images interface {
	Resolve(ctx context.Context, nameOrID string) (*images.Image, error)
	Unpack(ctx context.Context, img *images.Image, snapshotter string) error
	Commit(ctx context.Context, o images.CommitOptions) (digest.Digest, error)
}

// Volumes makes and mounts volumes.
type Volumes interface {
	CreateFor(ctx context.Context, c *types.VolumeCreateConfig, containerID string) (*volume.Volume, error)
	Get(ctx context.Context, name string) (*volume.Volume, error)
	Remove(ctx context.Context, name string, force bool) error
	Acquire(ctx context.Context, name, containerID string) error
	Release(ctx context.Context, name, containerID string)
	Mount(ctx context.Context, name, containerID string) (path string, err error)
	Unmount(ctx context.Context, name, containerID string) error
	UnmountUnused(context.Context) error
}

// Networks makes the networks of containers and plugs containers into them. A
// container is its full id.
type Networks interface {
	Find(nameOrID string) (networks.Network, error)
	Check(n networks.Network, e *network.EndpointSettings) error
	Open(ctx context.Context, sandbox networks.Sandbox) (path string, err error)
	Connect(ctx context.Context, containerID string, endpoints ...*networktypes.Endpoint) error
	Disconnect(ctx context.Context, containerID, networkName string, force bool) error
	Close(ctx context.Context, containerID string) error
	Rename(containerID, name string)
	Settings(containerID string) (settings *container.NetworkSettings, open bool)
	Names(containerID string) networks.Names
	Sandboxes() []string
}

// Events is told what happens to containers.
type Events interface {
	Container(action eventtypes.Action, id string, attributes map[string]string)
}

// Params are what New needs.
type Params struct {
	Engine   Engine
	Images   Images
	Volumes  Volumes
	Networks Networks
	Hooks    plugins.ContainerPlugin
	Events   Events
	Log      *zap.Logger
	// Root is the daemon's data root, ExecRoot where it keeps what does not
	// outlive a reboot.
	Root, ExecRoot string
	// Bundles is where the engine mounts the root filesystems of containers
	// that run: PreStart hooks are told.
	Bundles string
	// Init is the program that --init runs in a container; it must be
	// statically linked. Empty means the engine's executable in that role.
	Init string
	// StopContainers ends all containers when the service stops; otherwise
	// they go on running.
	StopContainers bool
}

// Service is the containers of a daemon. Its methods may be called at the
// same time between Open and Close. (Start and Stop are those of a container.)
//
// A name in its methods is a full id, a unique prefix of one, or a name with
// or without the leading slash. Errors are of errdefs classes, with the texts
// that Docker's clients know.
type Service struct {
	Params
	index index
	execs sync.Map // id to *execution

	door     *runtimehook.Door
	joinings sync.Map // container id to *joining, which waits for its hook

	background context.Context // ends with Close; carries the namespace
	cancel     context.CancelFunc
	owned      sync.WaitGroup // goroutines

	seccompMu sync.Mutex
	seccomp   *bool // what the runtime can do, once known
}

// New makes the service; it does nothing before Open.
func New(p Params) *Service {
	s := &Service{Params: p, index: newIndex()}
	s.door = runtimehook.NewDoor(filepath.Join(p.ExecRoot, "hooks", "network.sock"), s.networkHook)
	s.background, s.cancel = context.WithCancel(context.Background())
	return s
}

// Open finds the containers of the last daemon again, finishes or undoes
// what it left half-made, and applies restart policies.
func (s *Service) Open(ctx context.Context) error {
	s.background, s.cancel = context.WithCancel(s.Engine.Context(context.Background()))
	if err := s.door.Open(); err != nil {
		return err
	}
	return s.reconcile(s.Engine.Context(ctx))
}

// Close lets go of the containers, which go on running unless StopContainers
// is set, and ends all that the service started. It is safe without Open.
func (s *Service) Close(ctx context.Context) error {
	if s.StopContainers {
		s.stopAll(ctx)
	}
	s.cancel()
	for _, c := range s.index.all() {
		c.waiters.closeAll()
		if r := c.current(); r != nil {
			r.pipes.Release()
		}
		c.outlet().Close(0)
	}
	err := s.door.Close()
	s.owned.Wait()
	for _, c := range s.index.all() {
		if c.log != nil {
			c.log.Wait()
		}
	}
	return err
}

// stopAll stops every running container as Docker's stop does.
func (s *Service) stopAll(ctx context.Context) {
	var all sync.WaitGroup
	for _, c := range s.index.all() {
		if c.current() == nil {
			continue
		}
		c.setOnce(true) // its policy is for the next start of the daemon
		all.Go(func() {
			if err := s.stop(ctx, c, stopOptions{keepPolicy: true}); err != nil {
				s.Log.Warn("cannot stop a container", zap.String("container", c.id), zap.Error(err))
			}
		})
	}
	all.Wait()
}

// dir holds a container's files that outlive a reboot.
func (s *Service) dir(id string) string { return filepath.Join(s.Root, "containers", id) }

// execDir holds a container's pipes.
func (s *Service) execDir(id string) string { return filepath.Join(s.ExecRoot, "containers", id) }

// canSeccomp asks the runtime once whether it can filter system calls.
func (s *Service) canSeccomp(ctx context.Context) (bool, error) {
	s.seccompMu.Lock()
	defer s.seccompMu.Unlock()
	if s.seccomp == nil {
		v, err := s.Engine.Versions(ctx)
		if err != nil {
			return false, err
		}
		s.seccomp = &v.Seccomp
	}
	return *s.seccomp, nil
}

// initProgram is the program that --init runs in a container.
func (s *Service) initProgram() string {
	if s.Init != "" {
		return s.Init
	}
	return s.Engine.Executable()
}

// Counts returns how many containers run, are paused, and neither.
func (s *Service) Counts() (running, paused, stopped int) {
	for _, c := range s.index.all() {
		switch c.status() {
		case statusRunning, statusRestarting:
			running++
		case statusPaused:
			paused++
		default:
			stopped++
		}
	}
	return running, paused, stopped
}
