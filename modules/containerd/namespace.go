package containerd

import (
	"context"

	"github.com/containerd/containerd/v2/client"
	"github.com/containerd/containerd/v2/core/containers"
	"github.com/containerd/containerd/v2/core/content"
	"github.com/containerd/containerd/v2/core/diff"
	"github.com/containerd/containerd/v2/core/events"
	"github.com/containerd/containerd/v2/core/images"
	"github.com/containerd/containerd/v2/core/leases"
	"github.com/containerd/containerd/v2/core/mount"
	"github.com/containerd/containerd/v2/core/snapshots"
	"github.com/containerd/containerd/v2/pkg/namespaces"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// A client over a connection puts its default namespace into every call that
// has none. In memory nobody does, so that a plugin that keeps an image and
// looks at it later, without the context of its hook, would be refused. The
// types of this file and of namespace_tasks.go do it.

// withNamespace makes a client like direct that uses Namespace where a
// context has none. Sandboxes and transfers are not covered: nothing here uses
// them.
func withNamespace(direct *client.Client, snapshotters map[string]any) (*client.Client, error) {
	named := map[string]snapshots.Snapshotter{}
	for name := range snapshotters {
		named[name] = nsSnapshotter{direct.SnapshotService(name)}
	}
	return client.New("", client.WithDefaultNamespace(Namespace), client.WithDefaultPlatform(Platform()), client.WithServices(
		client.WithContainerStore(nsContainers{direct.ContainerService()}),
		client.WithContentStore(nsContent{direct.ContentStore()}),
		client.WithDiffService(nsDiff{direct.DiffService()}),
		client.WithEventService(nsEvents{direct.EventService()}),
		client.WithImageStore(nsImages{direct.ImageService()}),
		client.WithIntrospectionService(direct.IntrospectionService()),
		client.WithLeasesService(nsLeases{direct.LeasesService()}),
		client.WithMountManager(nsMounts{direct.MountManager()}),
		client.WithNamespaceService(direct.NamespaceService()),
		client.WithSandboxStore(direct.SandboxStore()),
		client.WithSnapshotters(named),
		client.WithTaskClient(nsTasks{direct.TaskService()}),
		client.WithTransferService(direct.TransferService()),
	))
}

// within gives ctx the default namespace when it has none.
func within(ctx context.Context) context.Context {
	if _, ok := namespaces.Namespace(ctx); ok {
		return ctx
	}
	return namespaces.WithNamespace(ctx, Namespace)
}

type nsContainers struct{ next containers.Store }

func (s nsContainers) Get(ctx context.Context, id string) (containers.Container, error) {
	return s.next.Get(within(ctx), id)
}

func (s nsContainers) List(ctx context.Context, filters ...string) ([]containers.Container, error) {
	return s.next.List(within(ctx), filters...)
}

func (s nsContainers) Create(ctx context.Context, c containers.Container) (containers.Container, error) {
	return s.next.Create(within(ctx), c)
}

func (s nsContainers) Update(ctx context.Context, c containers.Container, fields ...string) (containers.Container, error) {
	return s.next.Update(within(ctx), c, fields...)
}

func (s nsContainers) Delete(ctx context.Context, id string) error {
	return s.next.Delete(within(ctx), id)
}

type nsImages struct{ next images.Store }

func (s nsImages) Get(ctx context.Context, name string) (images.Image, error) {
	return s.next.Get(within(ctx), name)
}

func (s nsImages) List(ctx context.Context, filters ...string) ([]images.Image, error) {
	return s.next.List(within(ctx), filters...)
}

func (s nsImages) Create(ctx context.Context, i images.Image) (images.Image, error) {
	return s.next.Create(within(ctx), i)
}

func (s nsImages) Update(ctx context.Context, i images.Image, fields ...string) (images.Image, error) {
	return s.next.Update(within(ctx), i, fields...)
}

func (s nsImages) Delete(ctx context.Context, name string, opts ...images.DeleteOpt) error {
	return s.next.Delete(within(ctx), name, opts...)
}

type nsDiff struct{ next client.DiffService }

func (s nsDiff) Compare(ctx context.Context, lower, upper []mount.Mount, opts ...diff.Opt) (ocispec.Descriptor, error) {
	return s.next.Compare(within(ctx), lower, upper, opts...)
}

func (s nsDiff) Apply(ctx context.Context, d ocispec.Descriptor, m []mount.Mount, opts ...diff.ApplyOpt) (ocispec.Descriptor, error) {
	return s.next.Apply(within(ctx), d, m, opts...)
}

type nsEvents struct{ next client.EventService }

func (s nsEvents) Publish(ctx context.Context, topic string, event events.Event) error {
	return s.next.Publish(within(ctx), topic, event)
}

func (s nsEvents) Forward(ctx context.Context, envelope *events.Envelope) error {
	return s.next.Forward(within(ctx), envelope)
}

func (s nsEvents) Subscribe(ctx context.Context, filters ...string) (<-chan *events.Envelope, <-chan error) {
	return s.next.Subscribe(within(ctx), filters...)
}

type nsLeases struct{ next leases.Manager }

func (s nsLeases) Create(ctx context.Context, opts ...leases.Opt) (leases.Lease, error) {
	return s.next.Create(within(ctx), opts...)
}

func (s nsLeases) Delete(ctx context.Context, l leases.Lease, opts ...leases.DeleteOpt) error {
	return s.next.Delete(within(ctx), l, opts...)
}

func (s nsLeases) List(ctx context.Context, filters ...string) ([]leases.Lease, error) {
	return s.next.List(within(ctx), filters...)
}

func (s nsLeases) AddResource(ctx context.Context, l leases.Lease, r leases.Resource) error {
	return s.next.AddResource(within(ctx), l, r)
}

func (s nsLeases) DeleteResource(ctx context.Context, l leases.Lease, r leases.Resource) error {
	return s.next.DeleteResource(within(ctx), l, r)
}

func (s nsLeases) ListResources(ctx context.Context, l leases.Lease) ([]leases.Resource, error) {
	return s.next.ListResources(within(ctx), l)
}

type nsMounts struct{ next mount.Manager }

func (s nsMounts) Activate(ctx context.Context, name string, m []mount.Mount, opts ...mount.ActivateOpt) (mount.ActivationInfo, error) {
	return s.next.Activate(within(ctx), name, m, opts...)
}

func (s nsMounts) Deactivate(ctx context.Context, name string) error {
	return s.next.Deactivate(within(ctx), name)
}

func (s nsMounts) Info(ctx context.Context, name string) (mount.ActivationInfo, error) {
	return s.next.Info(within(ctx), name)
}

func (s nsMounts) Update(ctx context.Context, i mount.ActivationInfo, fields ...string) (mount.ActivationInfo, error) {
	return s.next.Update(within(ctx), i, fields...)
}

func (s nsMounts) List(ctx context.Context, filters ...string) ([]mount.ActivationInfo, error) {
	return s.next.List(within(ctx), filters...)
}

var _ content.Store = nsContent{}
