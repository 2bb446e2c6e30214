// Package nri lets plugins of NRI, containerd's Node Resource Interface, act on
// the containers of Docker's API. They are programs of their own, written for
// containerd or CRI-O, and know nothing of this daemon: here it is the runtime
// that they register with. What they adjust is changed in the container's
// configuration, so that it is validated, explained and kept like what any other
// plugin changes.
package nri

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"net"
	"sync/atomic"
	"time"

	"github.com/containerd/errdefs"
	"github.com/containerd/nri/pkg/adaptation"
	"github.com/containerd/nri/pkg/api"
	"go.uber.org/zap"

	"github.com/pouchfx/pouchfx/plugins"
	"github.com/pouchfx/pouchfx/types"
)

// Params are what the plugin is made of.
type Params struct {
	plugins.In
	Config Config
	Log    *zap.Logger
}

// Plugin is the runtime's side of NRI. Hooks that it does not need are those of
// the base.
type Plugin struct {
	plugins.ContainerBase
	config   Config
	log      *zap.Logger
	runtime  atomic.Pointer[adaptation.Adaptation] // nil while not started
	turn     chan struct{}                         // holds one while a request is with the NRI plugins
	recorder recorder
	pending  originals
}

// New returns the plugin. Nothing listens before PreStartHook.
func New(p Params) (*Plugin, error) {
	return &Plugin{config: p.Config, log: p.Log, turn: make(chan struct{}, 1)}, nil
}

// PreStartHook starts the NRI plugins of the folder and listens for others.
func (p *Plugin) PreStartHook() error {
	// NRI would take the socket from whom it belongs to.
	if conn, err := net.DialTimeout("unix", p.config.Socket, time.Second); err == nil {
		conn.Close()
		return fmt.Errorf("somebody listens at %s, maybe another runtime: choose another socket", p.config.Socket)
	}
	logAsContainerd()
	runtime, err := adaptation.New("pouchfx", version(), synchronize, refuseUpdates,
		adaptation.WithSocketPath(p.config.Socket),
		adaptation.WithPluginPath(p.config.PluginPath),
		adaptation.WithPluginConfigPath(p.config.PluginConfigPath),
		adaptation.WithMetrics(&p.recorder))
	if err != nil {
		return fmt.Errorf("cannot start NRI: %w", err)
	}
	p.runtime.Store(runtime)
	if err := runtime.Start(); err != nil {
		return fmt.Errorf("cannot start NRI: %w", err)
	}
	p.log.Info("NRI listens", zap.String("address", p.config.Socket))
	return nil
}

// PreStopHook ends what PreStartHook started.
func (p *Plugin) PreStopHook() error {
	if runtime := p.runtime.Swap(nil); runtime != nil {
		runtime.Stop()
	}
	return nil
}

// synchronize tells an NRI plugin that registers which containers there are:
// plugins of a daemon do not know the old ones.
func synchronize(ctx context.Context, tell adaptation.SyncCB) error {
	_, err := tell(ctx, nil, nil)
	return err
}

// refuseUpdates answers an NRI plugin that wants to change containers by itself.
func refuseUpdates(_ context.Context, asked []*api.ContainerUpdate) ([]*api.ContainerUpdate, error) {
	return asked, errdefs.ErrNotImplemented.WithMessage("pouchfx does not let NRI plugins update containers")
}

// PreCreate asks the NRI plugins what they adjust, and adjusts it.
func (p *Plugin) PreCreate(ctx context.Context, c *types.ContainerCreateConfig) error {
	if err := refuseForged(c.SpecAnnotation, c.HostConfig.Annotations); err != nil {
		return err
	}
	runtime, request := p.runtime.Load(), plugins.RequestFrom(ctx)
	if runtime == nil || request.FrontEnd == plugins.FrontEndCRI {
		return nil
	}
	done, err := p.take(ctx)
	if err != nil {
		return err
	}
	defer done()
	id := c.SpecificID
	if id == "" {
		id = newID()
	}
	original, err := encode(c)
	if err != nil {
		return err
	}
	asked := &adaptation.CreateContainerRequest{Pod: pod(id, request.Name, c.Labels, annotations(c)), Container: created(id, request.Name, c)}
	p.recorder.begin(api.Event_CREATE_CONTAINER)
	reply, err := runtime.CreateContainer(ctx, asked)
	seen := p.recorder.end()
	if err = seen.verdict(ctx, err, p.log); err == nil {
		err = seen.lacks(p.config.Required)
	}
	if err == nil && len(seen.answered) == 0 {
		return nil // nobody wanted to know
	}
	if err == nil {
		err = p.adjust(c, asked.Container, reply)
	}
	if err != nil {
		p.forget(ctx, runtime, asked.Pod, asked.Container)
		return err
	}
	c.SpecificID = id // by which the NRI plugins know the container
	p.pending.keep(id, original)
	return nil
}

// UndoPreCreate tells the NRI plugins that nothing came of a container.
func (p *Plugin) UndoPreCreate(ctx context.Context, c *types.ContainerCreateConfig) error {
	original, known := p.pending.take(c.SpecificID)
	if !known {
		return nil // they were not asked
	}
	if runtime := p.runtime.Load(); runtime != nil {
		done, err := p.take(ctx)
		if err != nil {
			return err
		}
		defer done()
		name := plugins.RequestFrom(ctx).Name
		p.forget(ctx, runtime, pod(c.SpecificID, name, c.Labels, annotations(c)), created(c.SpecificID, name, c))
	}
	return decode(original, c)
}

// forget has the NRI plugins let go of what they keep for a container that is
// not made.
func (p *Plugin) forget(ctx context.Context, runtime *adaptation.Adaptation, pod *api.PodSandbox, container *api.Container) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer cancel()
	if err := runtime.RemoveContainer(ctx, &adaptation.RemoveContainerRequest{Pod: pod, Container: container}); err != nil {
		p.log.Warn("an NRI plugin does not take note that a container is not made", zap.String("container", container.Id), zap.Error(err))
	}
}

// PreStart tells the NRI plugins of a start, and returns the hooks that they
// asked for when the container was created.
func (p *Plugin) PreStart(ctx context.Context, container interface{}) ([]int, [][]string, error) {
	c, ok := container.(*types.Container)
	runtime := p.runtime.Load()
	if !ok || runtime == nil || plugins.RequestFrom(ctx).FrontEnd == plugins.FrontEndCRI {
		return nil, nil, nil
	}
	p.pending.take(c.ID) // the create is over
	priorities, args, err := p.hooks(c.Annotations)
	if err != nil {
		return nil, nil, err
	}
	done, err := p.take(ctx)
	if err != nil {
		return nil, nil, err
	}
	defer done()
	p.recorder.begin(api.Event_START_CONTAINER)
	err = runtime.StartContainer(ctx, &adaptation.StartContainerRequest{
		Pod: pod(c.ID, c.Name, c.Config.Labels, c.Annotations), Container: started(c),
	})
	if err := p.recorder.end().verdict(ctx, err, p.log); err != nil {
		return nil, nil, err
	}
	return priorities, args, nil
}

// take waits for the caller's turn: NRI serves one request at a time, and waits
// without looking at the context.
func (p *Plugin) take(ctx context.Context) (done func(), err error) {
	select {
	case p.turn <- struct{}{}:
		return func() { <-p.turn }, nil
	case <-ctx.Done():
		return nil, fmt.Errorf("waiting for the NRI plugins, which another request is with: %w", context.Cause(ctx))
	}
}

func newID() string {
	var b [32]byte
	_, _ = rand.Read(b[:]) // never fails
	return hex.EncodeToString(b[:])
}
