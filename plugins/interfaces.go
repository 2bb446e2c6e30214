package plugins

import (
	"context"
	"io"

	containerd "github.com/containerd/containerd/v2/client"

	"github.com/pouchfx/pouchfx/networktypes"
	"github.com/pouchfx/pouchfx/types"
)

// APIPlugin changes the routes of the HTTP API.
type APIPlugin interface {
	// UpdateHandler is called once, before the API listens, with the list
	// that the plugin before returned; it may wrap, replace, add and remove
	// routes and returns the list to use. The list is checked after each
	// plugin: a nil handler, a bad pattern, or two routes for one method and
	// path fail the start.
	UpdateHandler(context.Context, []*types.HandlerSpec) []*types.HandlerSpec
}

// ContainerPlugin changes what happens to containers. Every front door goes
// through the same hooks.
type ContainerPlugin interface {
	// PreCreate is the first step of every create, before anything is
	// allocated. HostConfig and NetworkingConfig are not nil and must not
	// become nil. RequestFrom tells who asks.
	PreCreate(context.Context, *types.ContainerCreateConfig) error

	// PreStart is called at every start, under the container's lock, before
	// the OCI spec is made, with a *types.Container: what it changes in
	// Config.Env, Mounts and Annotations reaches this start and no other.
	//
	// It returns runtime hooks: priorities[i] belongs to args[i], whose first
	// element is an absolute path and whose rest is the argv including
	// argv[0] (the path alone stands for an argv of the path). They run in
	// the runtime's namespace before the container's process, biggest
	// priority first, and those of one priority in the order of the plugins.
	// Setting up the network is itself the first entry of priority 0: hooks
	// above 0 run before the network exists, those of 0 and below after. One
	// that needs an environment or a time limit is a HookProgram.
	PreStart(context.Context, interface{}) (priorities []int, args [][]string, err error)

	// PreCreateEndpoint is called for each network when a start, or a connect
	// to a running container, makes the endpoint, with the container's id and
	// env. EndpointConfig is not nil. It is never called at teardown, nor for
	// containers without networks of their own (host, none, container:ID).
	PreCreateEndpoint(context.Context, string, []string, *networktypes.Endpoint) error

	// PreUpdate is the first step of an update. It gets the request body and
	// returns the body to use; the daemon closes both. A nil reader is an
	// error. RequestFrom tells which container is updated.
	PreUpdate(context.Context, io.ReadCloser) (io.ReadCloser, error)

	// PostUpdate is called after an update was applied and saved, with the
	// path of a readable and writable root filesystem, also when the
	// container is stopped, and the full env. When it fails the update stays
	// and the caller gets an error that says so.
	PostUpdate(context.Context, string, []string) error
}

// CreateUndoer is what a ContainerPlugin may implement whose PreCreate does
// more than change the configuration.
type CreateUndoer interface {
	// UndoPreCreate is called when a create fails after the plugin's PreCreate
	// succeeded, or when a dry run ends, in reverse order, with a context that
	// outlives the request and the configuration as PreCreate left it. It
	// undoes all that PreCreate did, in the configuration too.
	UndoPreCreate(context.Context, *types.ContainerCreateConfig) error
}

// CriPlugin changes the containers that Kubernetes asks for.
type CriPlugin interface {
	// PreCreateContainer is called on a CRI CreateContainer, before PreCreate
	// on the same configuration, with the sandbox as *types.SandboxMeta.
	PreCreateContainer(context.Context, *types.ContainerCreateConfig, interface{}) error
}

// DaemonPlugin takes part in the daemon's own start and stop.
type DaemonPlugin interface {
	// PreStartHook is called after configuration and logging exist and before
	// the engine starts. A failure of a required plugin fails the start.
	PreStartHook() error

	// PreStopHook is called after everything else has stopped, in reverse
	// order, on every exit path on which PreStartHook was tried. It must be
	// safe when PreStartHook failed, and while an abandoned PreStartHook is
	// still running.
	PreStopHook() error
}

// ImagePlugin acts on images.
type ImagePlugin interface {
	// PostPull is called after an image was pulled and unpacked, before the
	// pull is reported as done, with the snapshotter's name and the image of
	// a client whose default namespace outlives the request. When it fails
	// the pull fails and the name does not stay behind.
	PostPull(ctx context.Context, snapshotter string, image containerd.Image) error
}

// VolumePlugin changes volumes.
type VolumePlugin interface {
	// PreVolumeCreate is called in the one place where volumes are made,
	// whether one was asked for or a container's mount implies it.
	PreVolumeCreate(context.Context, *types.VolumeCreateConfig) error
}
