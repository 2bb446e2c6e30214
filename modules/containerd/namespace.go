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

// InNamespace returns a client like direct, one in memory, that uses a namespace
// where a context has none; as for images that the kit for testing plugins makes.
func InNamespace(name string, direct *client.Client, snapshotter string) (*client.Client, error) {
	return namespace(name).clientOf(direct, map[string]any{snapshotter: nil})
}

// namespace is the default of a client.
type namespace string

// clientOf makes a client like direct that uses n where a context has no
// namespace. Sandboxes and transfers are not covered: nothing here uses them.
func (n namespace) clientOf(direct *client.Client, snapshotters map[string]any) (*client.Client, error) {
	named := map[string]snapshots.Snapshotter{}
	for name := range snapshotters {
		named[name] = nsSnapshotter{n, direct.SnapshotService(name)}
	}
	return client.New("", client.WithDefaultNamespace(string(n)), client.WithDefaultPlatform(Platform()), client.WithServices(
		client.WithContainerStore(nsContainers{n, direct.ContainerService()}),
		client.WithContentStore(nsContent{n, direct.ContentStore()}),
		client.WithDiffService(nsDiff{n, direct.DiffService()}),
		client.WithEventService(nsEvents{n, direct.EventService()}),
		client.WithImageStore(nsImages{n, direct.ImageService()}),
		client.WithIntrospectionService(direct.IntrospectionService()),
		client.WithLeasesService(nsLeases{n, direct.LeasesService()}),
		client.WithMountManager(nsMounts{n, direct.MountManager()}),
		client.WithNamespaceService(direct.NamespaceService()),
		client.WithSandboxStore(direct.SandboxStore()),
		client.WithSnapshotters(named),
		client.WithTaskClient(nsTasks{n, direct.TaskService()}),
		client.WithTransferService(direct.TransferService()),
	))
}

// within gives ctx the default namespace when it has none.
func (n namespace) within(ctx context.Context) context.Context {
	if _, ok := namespaces.Namespace(ctx); ok {
		return ctx
	}
	return namespaces.WithNamespace(ctx, string(n))
}

type nsContainers struct {
	namespace
	next containers.Store
}

func (s nsContainers) Get(ctx context.Context, id string) (containers.Container, error) {
	return s.next.Get(s.within(ctx), id)
}

func (s nsContainers) List(ctx context.Context, filters ...string) ([]containers.Container, error) {
	return s.next.List(s.within(ctx), filters...)
}

func (s nsContainers) Create(ctx context.Context, c containers.Container) (containers.Container, error) {
	return s.next.Create(s.within(ctx), c)
}

func (s nsContainers) Update(ctx context.Context, c containers.Container, fields ...string) (containers.Container, error) {
	return s.next.Update(s.within(ctx), c, fields...)
}

func (s nsContainers) Delete(ctx context.Context, id string) error {
	return s.next.Delete(s.within(ctx), id)
}

type nsImages struct {
	namespace
	next images.Store
}

func (s nsImages) Get(ctx context.Context, name string) (images.Image, error) {
	return s.next.Get(s.within(ctx), name)
}

func (s nsImages) List(ctx context.Context, filters ...string) ([]images.Image, error) {
	return s.next.List(s.within(ctx), filters...)
}

func (s nsImages) Create(ctx context.Context, i images.Image) (images.Image, error) {
	return s.next.Create(s.within(ctx), i)
}

func (s nsImages) Update(ctx context.Context, i images.Image, fields ...string) (images.Image, error) {
	return s.next.Update(s.within(ctx), i, fields...)
}

func (s nsImages) Delete(ctx context.Context, name string, opts ...images.DeleteOpt) error {
	return s.next.Delete(s.within(ctx), name, opts...)
}

type nsDiff struct {
	namespace
	next client.DiffService
}

func (s nsDiff) Compare(ctx context.Context, lower, upper []mount.Mount, opts ...diff.Opt) (ocispec.Descriptor, error) {
	return s.next.Compare(s.within(ctx), lower, upper, opts...)
}

func (s nsDiff) Apply(ctx context.Context, d ocispec.Descriptor, m []mount.Mount, opts ...diff.ApplyOpt) (ocispec.Descriptor, error) {
	return s.next.Apply(s.within(ctx), d, m, opts...)
}

type nsEvents struct {
	namespace
	next client.EventService
}

func (s nsEvents) Publish(ctx context.Context, topic string, event events.Event) error {
	return s.next.Publish(s.within(ctx), topic, event)
}

func (s nsEvents) Forward(ctx context.Context, envelope *events.Envelope) error {
	return s.next.Forward(s.within(ctx), envelope)
}

func (s nsEvents) Subscribe(ctx context.Context, filters ...string) (<-chan *events.Envelope, <-chan error) {
	return s.next.Subscribe(s.within(ctx), filters...)
}

type nsLeases struct {
	namespace
	next leases.Manager
}

func (s nsLeases) Create(ctx context.Context, opts ...leases.Opt) (leases.Lease, error) {
	return s.next.Create(s.within(ctx), opts...)
}

func (s nsLeases) Delete(ctx context.Context, l leases.Lease, opts ...leases.DeleteOpt) error {
	return s.next.Delete(s.within(ctx), l, opts...)
}

func (s nsLeases) List(ctx context.Context, filters ...string) ([]leases.Lease, error) {
	return s.next.List(s.within(ctx), filters...)
}

func (s nsLeases) AddResource(ctx context.Context, l leases.Lease, r leases.Resource) error {
	return s.next.AddResource(s.within(ctx), l, r)
}

func (s nsLeases) DeleteResource(ctx context.Context, l leases.Lease, r leases.Resource) error {
	return s.next.DeleteResource(s.within(ctx), l, r)
}

func (s nsLeases) ListResources(ctx context.Context, l leases.Lease) ([]leases.Resource, error) {
	return s.next.ListResources(s.within(ctx), l)
}

type nsMounts struct {
	namespace
	next mount.Manager
}

func (s nsMounts) Activate(ctx context.Context, name string, m []mount.Mount, opts ...mount.ActivateOpt) (mount.ActivationInfo, error) {
	return s.next.Activate(s.within(ctx), name, m, opts...)
}

func (s nsMounts) Deactivate(ctx context.Context, name string) error {
	return s.next.Deactivate(s.within(ctx), name)
}

func (s nsMounts) Info(ctx context.Context, name string) (mount.ActivationInfo, error) {
	return s.next.Info(s.within(ctx), name)
}

func (s nsMounts) Update(ctx context.Context, i mount.ActivationInfo, fields ...string) (mount.ActivationInfo, error) {
	return s.next.Update(s.within(ctx), i, fields...)
}

func (s nsMounts) List(ctx context.Context, filters ...string) ([]mount.ActivationInfo, error) {
	return s.next.List(s.within(ctx), filters...)
}

var _ content.Store = nsContent{}
