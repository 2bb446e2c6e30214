package api

import (
	"context"
	"io"
	"time"

	"github.com/distribution/reference"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/image"
	"github.com/moby/moby/api/types/jsonstream"
	"github.com/moby/moby/api/types/registry"
	"github.com/moby/moby/api/types/volume"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/pouchfx/pouchfx/modules/containerd"
	"github.com/pouchfx/pouchfx/modules/filters"
	pluginregistry "github.com/pouchfx/pouchfx/modules/registry"
	"github.com/pouchfx/pouchfx/types"
)

// Containers is what the API needs of modules/containers. A name is a
// container's id, a unique prefix of it, or its name.
type Containers interface {
	Create(ctx context.Context, o CreateOptions) (container.CreateResponse, error)
	Start(ctx context.Context, name string) error
	Stop(ctx context.Context, name string, timeout *int, signal string) error
	Kill(ctx context.Context, name, signal string) error
	Restart(ctx context.Context, name string, timeout *int, signal string) error
	Pause(ctx context.Context, name string) error
	Unpause(ctx context.Context, name string) error
	Rename(ctx context.Context, name, newName string) error
	Remove(ctx context.Context, name string, o RemoveOptions) error
	Wait(ctx context.Context, name string, cond container.WaitCondition) (<-chan container.WaitResponse, error)
	List(ctx context.Context, o ListOptions) ([]container.Summary, error)
	Inspect(ctx context.Context, name string, size bool) (*container.InspectResponse, error)
	Logs(ctx context.Context, name string, o LogsOptions, out LogSink) error
	TTY(ctx context.Context, name string) (bool, error)
	Attach(ctx context.Context, name string, o AttachOptions, s Streams, attached func()) error
	Resize(ctx context.Context, name string, h, w uint32) error
	Top(ctx context.Context, name, psArgs string) (*container.TopResponse, error)
	Update(ctx context.Context, name string, body io.ReadCloser) (container.UpdateResponse, error)
	Prune(ctx context.Context, f filters.Args) (container.PruneReport, error)
	Counts() (running, paused, stopped int)
	Execs
}

// Execs are the further processes of containers.
type Execs interface {
	ExecCreate(ctx context.Context, name string, o container.ExecCreateRequest) (string, error)
	ExecStart(ctx context.Context, id string, o ExecStartOptions, s Streams, attached func()) error
	ExecResize(ctx context.Context, id string, h, w uint32) error
	ExecInspect(ctx context.Context, id string) (*container.ExecInspectResponse, error)
	ExecTTY(id string) (bool, error)
}

// Images is what the API needs of modules/images.
type Images interface {
	Pull(ctx context.Context, ref reference.Named, o PullOptions) (*Image, error)
	Load(ctx context.Context, r io.Reader, progress func(jsonstream.Message)) ([]string, error)
	List(ctx context.Context, o ImageListOptions) ([]image.Summary, error)
	Inspect(ctx context.Context, name string) (*image.InspectResponse, error)
	Remove(ctx context.Context, name string, force, noPrune bool) ([]image.DeleteResponse, error)
	Tag(ctx context.Context, source string, target reference.NamedTagged) error
	Prune(ctx context.Context, f filters.Args) (image.PruneReport, error)
	CheckAuth(ctx context.Context, auth registry.AuthConfig) (status string, err error)
}

// Volumes is what the API needs of modules/volumes.
type Volumes interface {
	Create(ctx context.Context, c *types.VolumeCreateConfig) (*volume.Volume, error)
	Get(ctx context.Context, name string) (*volume.Volume, error)
	List(ctx context.Context, f filters.Args) (volume.ListResponse, error)
	Remove(ctx context.Context, name string, force bool) error
	Prune(ctx context.Context, f filters.Args) (volume.PruneReport, error)
}

// Engine is what the API shows of modules/containerd.
type Engine interface {
	Versions(ctx context.Context) (containerd.Versions, error)
	Snapshotter() string
}

// Plugins is what the API shows of modules/registry.
type Plugins interface {
	List() []pluginregistry.Info
}

// --- local stand-ins

type CreateOptions struct {
	Name     string
	Platform *ocispec.Platform
	Config   *types.ContainerCreateConfig
}
type RemoveOptions struct{ Force, Volumes bool }
type ListOptions struct {
	All     bool
	Limit   int
	Size    bool
	Filters filters.Args
}
type LogsOptions struct {
	Stdout, Stderr, Follow, Timestamps, Details bool
	Since, Until                                time.Time
	Tail                                        int
}
type LogSink interface {
	WriteLog(stream byte, t time.Time, line []byte, attrs map[string]string) error
}
type AttachOptions struct{ Logs, Stream bool }
type Streams struct {
	Stdin          io.Reader
	Stdout, Stderr io.Writer
	DetachKeys     string
}
type ExecStartOptions struct {
	Detach, Tty bool
	ConsoleSize *[2]uint
}
type PullOptions struct {
	Platform *ocispec.Platform
	Auth     *registry.AuthConfig
	Progress func(jsonstream.Message)
}
type Image struct{}
type ImageListOptions struct {
	All        bool
	Filters    filters.Args
	SharedSize bool
}
