package cri

import (
	"context"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/containerd/containerd/v2/client"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/stretchr/testify/require"
	"go.uber.org/zap"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	runtime "k8s.io/cri-api/pkg/apis/runtime/v1"

	"github.com/pouchfx/pouchfx/modules/containerd"
	"github.com/pouchfx/pouchfx/modules/containerd/containerdtest"
	"github.com/pouchfx/pouchfx/modules/containerd/shim"
	"github.com/pouchfx/pouchfx/modules/networks/cnitest"
	"github.com/pouchfx/pouchfx/modules/networks/netnstest"
	"github.com/pouchfx/pouchfx/modules/registry"
	"github.com/pouchfx/pouchfx/plugins"
	"github.com/pouchfx/pouchfx/types"
)

func TestMain(m *testing.M) {
	if !shim.Requested() {
		cnitest.Build()
		containerdtest.Build()
		netnstest.Enter()
	}
	containerdtest.Main(m)
}

// hooks is a plugin of all kinds that matter here; nil functions do nothing.
type hooks struct {
	plugins.ContainerBase
	mu           sync.Mutex
	calls        []string
	preCri       func(context.Context, *types.ContainerCreateConfig, *types.SandboxMeta) error
	preCreate    func(context.Context, *types.ContainerCreateConfig) error
	undo         func(context.Context, *types.ContainerCreateConfig) error
	preStart     func(context.Context, *types.Container) ([]int, [][]string, error)
	preUpdate    func(context.Context, string) (string, error)
	postUpdate   func(ctx context.Context, rootfs string, env []string) error
	postPull     func(ctx context.Context, snapshotter string, image client.Image) error
	lastRequests []plugins.Request
}

// called notes a call, and who asked.
func (h *hooks) called(ctx context.Context, hook string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.calls = append(h.calls, hook)
	h.lastRequests = append(h.lastRequests, plugins.RequestFrom(ctx))
}

// seen returns the calls since the last time, and empties the list.
func (h *hooks) seen() (calls []string, requests []plugins.Request) {
	h.mu.Lock()
	defer h.mu.Unlock()
	calls, requests, h.calls, h.lastRequests = h.calls, h.lastRequests, nil, nil
	return calls, requests
}

func (h *hooks) PreCreateContainer(ctx context.Context, c *types.ContainerCreateConfig, meta any) error {
	h.called(ctx, "PreCreateContainer")
	if h.preCri == nil {
		return nil
	}
	return h.preCri(ctx, c, meta.(*types.SandboxMeta))
}

func (h *hooks) PreCreate(ctx context.Context, c *types.ContainerCreateConfig) error {
	h.called(ctx, "PreCreate")
	if h.preCreate == nil {
		return nil
	}
	return h.preCreate(ctx, c)
}

func (h *hooks) UndoPreCreate(ctx context.Context, c *types.ContainerCreateConfig) error {
	if h.undo == nil {
		return nil
	}
	return h.undo(ctx, c)
}

func (h *hooks) PreStart(ctx context.Context, c any) ([]int, [][]string, error) {
	h.called(ctx, "PreStart")
	if h.preStart == nil {
		return nil, nil, nil
	}
	return h.preStart(ctx, c.(*types.Container))
}

func (h *hooks) PreUpdate(ctx context.Context, body io.ReadCloser) (io.ReadCloser, error) {
	h.called(ctx, "PreUpdate")
	if h.preUpdate == nil {
		return body, nil
	}
	text, err := io.ReadAll(body)
	if err != nil {
		return nil, err
	}
	changed, err := h.preUpdate(ctx, string(text))
	return io.NopCloser(strings.NewReader(changed)), err
}

func (h *hooks) PostUpdate(ctx context.Context, rootfs string, env []string) error {
	h.called(ctx, "PostUpdate")
	if h.postUpdate == nil {
		return nil
	}
	return h.postUpdate(ctx, rootfs, env)
}

func (h *hooks) PostPull(ctx context.Context, snapshotter string, image client.Image) error {
	h.called(ctx, "PostPull")
	if h.postPull == nil {
		return nil
	}
	return h.postPull(ctx, snapshotter, image)
}

// fixture is an endpoint over an engine, with a client.
type fixture struct {
	*hooks
	engine   *containerd.Engine
	endpoint *Endpoint
	socket   string
	logs     string // of the pods' containers

	runtime runtime.RuntimeServiceClient
	images  runtime.ImageServiceClient
}

// newFixture puts an endpoint, whose chains have one plugin, "h", before an
// engine that has the image box.
func newFixture(t testing.TB, engine *containerd.Engine) *fixture {
	t.Helper()
	f := &fixture{hooks: &hooks{}, engine: engine}
	f.serve(t)
	f.load(t, "box", containerdtest.Box(t))
	return f
}

// serve puts the endpoint before the engine.
func (f *fixture) serve(t testing.TB) {
	t.Helper()
	dir := t.TempDir()
	f.logs, f.socket = t.TempDir(), filepath.Join(dir, "cri.sock")
	roster, err := registry.NewRoster(noSettings{}, nil, zap.NewNop())
	require.NoError(t, err)
	all := []*plugins.Registration{{
		Name: "h", Plugin: f.hooks, Policy: plugins.DefaultPolicy(), Origin: "test",
		Kinds: []plugins.Kind{plugins.KindContainer, plugins.KindCri, plugins.KindImage},
	}}
	all[0].Policy.Timeout = time.Minute
	p := Params{Host: "unix://" + f.socket, ShutdownTimeout: 10 * time.Second, Engine: f.engine, Log: containerdtest.Log(t)}
	p.Containers, err = registry.NewContainers(roster, all)
	require.NoError(t, err)
	p.Cri, err = registry.NewCri(roster, all)
	require.NoError(t, err)
	p.Images, err = registry.NewImages(roster, all)
	require.NoError(t, err)
	f.endpoint = New(p)
	require.NoError(t, f.endpoint.Start(t.Context()))
	conn, err := grpc.NewClient("unix://"+f.socket, grpc.WithTransportCredentials(insecure.NewCredentials()))
	require.NoError(t, err)
	f.runtime, f.images = runtime.NewRuntimeServiceClient(conn), runtime.NewImageServiceClient(conn)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		require.NoError(t, conn.Close())
		require.NoError(t, f.endpoint.Stop(ctx))
	})
}

type noSettings struct{}

func (noSettings) Plugin(string, *plugins.Policy, any) error { return nil }

func (noSettings) Configured(string) bool { return true }

func (noSettings) Conflicts(string) plugins.OnConflict { return plugins.Warn }

// load puts an image under a name into CRI's namespace, and waits until CRI,
// which learns of it by an event, knows it.
func (f *fixture) load(t testing.TB, name string, image v1.Image) {
	t.Helper()
	imported, err := f.engine.PodClient().Import(t.Context(), containerdtest.Archive(t, name, image))
	require.NoError(t, err)
	for _, i := range imported {
		require.NoError(t, client.NewImage(f.engine.PodClient(), i).Unpack(t.Context(), f.engine.Snapshotter()))
	}
	require.Eventually(t, func() bool {
		r, err := f.images.ImageStatus(t.Context(), &runtime.ImageStatusRequest{Image: &runtime.ImageSpec{Image: name}})
		return err == nil && r.Image != nil
	}, 10*time.Second, 20*time.Millisecond)
}

// forget lets the next test begin anew.
func (h *hooks) forget() {
	h.preCri, h.preCreate, h.undo, h.preStart, h.preUpdate, h.postUpdate, h.postPull = nil, nil, nil, nil, nil, nil, nil
	h.seen()
}

// podNetwork configures a bridge for pods.
func podNetwork(t testing.TB) string {
	t.Helper()
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "10-pods.conflist"), []byte(`{
  "cniVersion": "1.0.0", "name": "pods",
  "plugins": [{
    "type": "bridge", "bridge": "pods0", "isGateway": true, "ipMasq": false,
    "ipam": {"type": "host-local", "dataDir": "`+t.TempDir()+`", "ranges": [[{"subnet": "10.123.0.0/24"}]], "routes": [{"dst": "0.0.0.0/0"}]}
  }]
}`), 0o600))
	return dir
}

// podConfig is a pod as kubelet asks for it, with the host's network.
func (f *fixture) podConfig(name string) *runtime.PodSandboxConfig {
	return &runtime.PodSandboxConfig{
		Metadata:     &runtime.PodSandboxMetadata{Name: name, Uid: "uid-" + name, Namespace: "default"},
		LogDirectory: f.logs,
		Labels: map[string]string{
			"io.kubernetes.pod.name": name, "io.kubernetes.pod.namespace": "default", "io.kubernetes.pod.uid": "uid-" + name,
		},
		Linux: &runtime.LinuxPodSandboxConfig{SecurityContext: &runtime.LinuxSandboxSecurityContext{
			NamespaceOptions: &runtime.NamespaceOption{Network: runtime.NamespaceMode_NODE},
		}},
	}
}

// runPod runs a pod and returns its sandbox.
func (f *fixture) runPod(t testing.TB, config *runtime.PodSandboxConfig) string {
	t.Helper()
	r, err := f.runtime.RunPodSandbox(t.Context(), &runtime.RunPodSandboxRequest{Config: config})
	require.NoError(t, err)
	return r.PodSandboxId
}

// containerConfig is a container that sleeps.
func containerConfig(name string) *runtime.ContainerConfig {
	return &runtime.ContainerConfig{
		Metadata: &runtime.ContainerMetadata{Name: name},
		Image:    &runtime.ImageSpec{Image: "box", UserSpecifiedImage: "box"},
		Command:  []string{"sleep", "3600"},
		Labels:   map[string]string{"io.kubernetes.container.name": name},
		LogPath:  name + ".log",
		Linux:    &runtime.LinuxContainerConfig{Resources: &runtime.LinuxContainerResources{}},
	}
}

func (f *fixture) tryCreate(t testing.TB, pod string, p *runtime.PodSandboxConfig, c *runtime.ContainerConfig) (string, error) {
	t.Helper()
	r, err := f.runtime.CreateContainer(t.Context(), &runtime.CreateContainerRequest{PodSandboxId: pod, Config: c, SandboxConfig: p})
	return r.GetContainerId(), err
}

func (f *fixture) start(t testing.TB, id string) {
	t.Helper()
	_, err := f.runtime.StartContainer(t.Context(), &runtime.StartContainerRequest{ContainerId: id})
	require.NoError(t, err)
}

// run runs a container in a pod with the host's network.
func (f *fixture) run(t testing.TB, name string, c *runtime.ContainerConfig) string {
	t.Helper()
	p := f.podConfig("pod-" + name)
	id, err := f.tryCreate(t, f.runPod(t, p), p, c)
	require.NoError(t, err)
	f.start(t, id)
	return id
}

// exec runs a command in a container and returns what it says.
func (f *fixture) exec(t testing.TB, id string, cmd ...string) string {
	t.Helper()
	r, err := f.runtime.ExecSync(t.Context(), &runtime.ExecSyncRequest{ContainerId: id, Cmd: cmd, Timeout: 30})
	require.NoError(t, err)
	require.Zero(t, r.ExitCode, string(r.Stderr))
	return string(r.Stdout)
}
