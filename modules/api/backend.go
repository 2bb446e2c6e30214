package api

import (
	"context"
	"io"
	"net/http"

	"github.com/distribution/reference"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/image"
	"github.com/moby/moby/api/types/jsonstream"
	"github.com/moby/moby/api/types/network"
	"github.com/moby/moby/api/types/registry"
	"github.com/moby/moby/api/types/volume"
	"github.com/opencontainers/go-digest"

	"github.com/pouchfx/pouchfx/modules/containerd"
	"github.com/pouchfx/pouchfx/modules/containers"
	"github.com/pouchfx/pouchfx/modules/explain"
	"github.com/pouchfx/pouchfx/modules/filters"
	"github.com/pouchfx/pouchfx/modules/images"
	pluginregistry "github.com/pouchfx/pouchfx/modules/registry"
	"github.com/pouchfx/pouchfx/types"
)

// Containers is what the API needs of modules/containers. A name is a
// container's id, a unique prefix of it, or its name.
type Containers interface {
	Create(ctx context.Context, o containers.CreateOptions) (container.CreateResponse, error)
	DryRun(ctx context.Context, o containers.CreateOptions) (*explain.DryRun, error)
	Explain(ctx context.Context, name string) (*explain.Explanation, error)
	Start(ctx context.Context, name string) error
	Stop(ctx context.Context, name string, timeout *int, signal string) error
	Kill(ctx context.Context, name, signal string) error
	Restart(ctx context.Context, name string, timeout *int, signal string) error
	Pause(ctx context.Context, name string) error
	Unpause(ctx context.Context, name string) error
	Rename(ctx context.Context, name, newName string) error
	Remove(ctx context.Context, name string, o containers.RemoveOptions) error
	Wait(ctx context.Context, name string, cond container.WaitCondition) (<-chan container.WaitResponse, error)
	List(ctx context.Context, o containers.ListOptions) ([]container.Summary, error)
	Inspect(ctx context.Context, name string, size bool) (*container.InspectResponse, error)
	Logs(ctx context.Context, name string, o containers.LogsOptions, out containers.LogSink) error
	TTY(ctx context.Context, name string) (bool, error)
	Attach(ctx context.Context, name string, o containers.AttachOptions, s containers.Streams, attached func()) error
	Resize(ctx context.Context, name string, h, w uint32) error
	Top(ctx context.Context, name, psArgs string) (*container.TopResponse, error)
	Commit(ctx context.Context, name string, o containers.CommitOptions) (string, error)
	Stats(ctx context.Context, name string, o containers.StatsOptions, send func(*container.StatsResponse) error) error
	Update(ctx context.Context, name string, body io.ReadCloser) (container.UpdateResponse, error)
	Prune(ctx context.Context, f filters.Args) (container.PruneReport, error)
	Counts() (running, paused, stopped int)
	Connect(ctx context.Context, name, network string, settings *network.EndpointSettings) error
	Disconnect(ctx context.Context, name, network string, force bool) error
	Execs
	Files
}

// Execs are the further processes of containers.
type Execs interface {
	ExecCreate(ctx context.Context, name string, o container.ExecCreateRequest) (string, error)
	ExecStart(ctx context.Context, id string, o containers.ExecStartOptions, s containers.Streams, attached func()) error
	ExecResize(ctx context.Context, id string, h, w uint32) error
	ExecInspect(ctx context.Context, id string) (*container.ExecInspectResponse, error)
	ExecTTY(id string) (bool, error)
}

// Images is what the API needs of modules/images.
type Images interface {
	Pull(ctx context.Context, ref reference.Named, o images.PullOptions) (*images.Image, error)
	PullAll(ctx context.Context, repository reference.Named, o images.PullOptions) error
	Push(ctx context.Context, ref reference.Named, o images.PushOptions) error
	Save(ctx context.Context, names []string, w io.Writer) error
	Import(ctx context.Context, o images.ImportOptions) (digest.Digest, error)
	Load(ctx context.Context, r io.Reader, progress func(jsonstream.Message)) ([]string, error)
	List(ctx context.Context, o images.ListOptions) ([]image.Summary, error)
	Inspect(ctx context.Context, name string) (*image.InspectResponse, error)
	History(ctx context.Context, name string) ([]image.HistoryResponseItem, error)
	Remove(ctx context.Context, name string, force, noPrune bool) ([]image.DeleteResponse, error)
	Tag(ctx context.Context, source string, target reference.NamedTagged) error
	Prune(ctx context.Context, f filters.Args) (image.PruneReport, error)
	CheckAuth(ctx context.Context, auth registry.AuthConfig) (registry.AuthResponse, error)
	Distribution(ctx context.Context, ref reference.Named, auth *registry.AuthConfig) (registry.DistributionInspect, error)
	Search(ctx context.Context, term string, o images.SearchOptions) ([]registry.SearchResult, error)
}

// Volumes is what the API needs of modules/volumes.
type Volumes interface {
	Create(ctx context.Context, c *types.VolumeCreateConfig) (*volume.Volume, error)
	Get(ctx context.Context, name string) (*volume.Volume, error)
	List(ctx context.Context, f filters.Args) (volume.ListResponse, error)
	Remove(ctx context.Context, name string, force bool) error
	Prune(ctx context.Context, f filters.Args) (volume.PruneReport, error)
	Usage(ctx context.Context) ([]volume.Volume, error)
}

// Networks is what the API needs of modules/networks.
type Networks interface {
	Create(ctx context.Context, r network.CreateRequest) (network.CreateResponse, error)
	Inspect(ctx context.Context, nameOrID string) (network.Inspect, error)
	List(ctx context.Context, f filters.Args) ([]network.Inspect, error)
	Remove(ctx context.Context, nameOrID string) error
	Prune(ctx context.Context, f filters.Args) (network.PruneReport, error)
}

// Engine is what the API shows of modules/containerd.
type Engine interface {
	Versions(ctx context.Context) (containerd.Versions, error)
	Snapshotter() string
}

// Pods explains containers that are not Docker's.
type Pods interface {
	Explain(ctx context.Context, id string) (*explain.Explanation, error)
}

// Plugins is what the API shows of modules/registry.
type Plugins interface {
	List() []pluginregistry.Info
}

// Reporter is what the API needs of modules/telemetry.
type Reporter interface {
	ServeMetrics(w http.ResponseWriter, r *http.Request)
	ServeHealth(w http.ResponseWriter, r *http.Request)
}
