package e2e

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/moby/moby/client"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	runtime "k8s.io/cri-api/pkg/apis/runtime/v1"

	"github.com/pouchfx/pouchfx/modules/containerd"
)

// kubelet does a kubelet's work on a daemon.
type kubelet struct {
	runtime.RuntimeServiceClient
	images runtime.ImageServiceClient
	d      *daemon
	image  string
	logs   string
}

// onPods is a configuration for pods: their images' first process is the
// daemon's own, and their cgroups are made without systemd.
const onPods = twoPlugins + `
cri: {cgroup-driver: cgroupfs, cni-conf-dir: NETWORKS}
cri-host: unix://SOCKET
`

// newKubelet starts a daemon with CRI and has it pull the image box.
func newKubelet(t *testing.T) *kubelet {
	t.Helper()
	socket := filepath.Join(t.TempDir(), "cri.sock")
	d, _ := pluginDaemon(t, embedded, strings.NewReplacer("SOCKET", socket, "NETWORKS", t.TempDir()).Replace(onPods))
	return kubeletOn(t, d, socket)
}

// kubeletOn has a daemon's CRI pull the image box.
func kubeletOn(t *testing.T, d *daemon, socket string) *kubelet {
	t.Helper()
	conn, err := grpc.NewClient("unix://"+socket, grpc.WithTransportCredentials(insecure.NewCredentials()))
	require.NoError(t, err)
	k := &kubelet{
		RuntimeServiceClient: runtime.NewRuntimeServiceClient(conn), images: runtime.NewImageServiceClient(conn), d: d, logs: t.TempDir(),
	}
	t.Cleanup(func() {
		k.removePods(t)
		require.NoError(t, conn.Close())
	})
	info, err := os.Stat(socket)
	require.NoError(t, err)
	assert.Equal(t, os.FileMode(0o660), info.Mode().Perm())
	box, err := boxImage()
	require.NoError(t, err)
	k.image = push(t, loopbackRegistry(t), "box", box)
	_, err = k.images.PullImage(testContext(t), &runtime.PullImageRequest{Image: &runtime.ImageSpec{Image: k.image}})
	require.NoError(t, err)
	return k
}

func (k *kubelet) removePods(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	list, err := k.ListPodSandbox(ctx, &runtime.ListPodSandboxRequest{})
	require.NoError(t, err)
	for _, p := range list.Items {
		_, err := k.StopPodSandbox(ctx, &runtime.StopPodSandboxRequest{PodSandboxId: p.Id})
		require.NoError(t, err)
		_, err = k.RemovePodSandbox(ctx, &runtime.RemovePodSandboxRequest{PodSandboxId: p.Id})
		require.NoError(t, err)
	}
}

// pod is a pod with the host's network, and its cgroup where the daemon's
// containers have theirs.
func (k *kubelet) pod(t *testing.T, name string) (id string, config *runtime.PodSandboxConfig) {
	t.Helper()
	roots := containerd.Config{Root: filepath.Join(k.d.root, "d"), State: filepath.Join(k.d.root, "x")}
	config = &runtime.PodSandboxConfig{
		Metadata: &runtime.PodSandboxMetadata{Name: name, Uid: name, Namespace: "default"}, LogDirectory: k.logs,
		Linux: &runtime.LinuxPodSandboxConfig{
			CgroupParent: containerd.New(roots, nil).CgroupParent(),
			SecurityContext: &runtime.LinuxSandboxSecurityContext{
				NamespaceOptions: &runtime.NamespaceOption{Network: runtime.NamespaceMode_NODE},
			},
		},
	}
	r, err := k.RunPodSandbox(testContext(t), &runtime.RunPodSandboxRequest{Config: config})
	require.NoError(t, err)
	return r.PodSandboxId, config
}

func (k *kubelet) create(ctx context.Context, pod string, config *runtime.PodSandboxConfig, labels map[string]string, script string) (string, error) {
	r, err := k.CreateContainer(ctx, &runtime.CreateContainerRequest{PodSandboxId: pod, SandboxConfig: config, Config: &runtime.ContainerConfig{
		Metadata: &runtime.ContainerMetadata{Name: "main"}, Image: &runtime.ImageSpec{Image: k.image}, Labels: labels,
		Command: []string{"sh", "-c", script}, LogPath: config.Metadata.Name + ".log", Linux: &runtime.LinuxContainerConfig{},
	}})
	return r.GetContainerId(), err
}

func (k *kubelet) exec(t *testing.T, id, script string) string {
	t.Helper()
	r, err := k.ExecSync(testContext(t), &runtime.ExecSyncRequest{ContainerId: id, Cmd: []string{"sh", "-c", script}, Timeout: 30})
	require.NoError(t, err)
	require.Zero(t, r.ExitCode, string(r.Stderr))
	return string(r.Stdout)
}

func TestPodsOutliveAKilledDaemon(t *testing.T) {
	k := newKubelet(t)
	pod, config := k.pod(t, "outlives")
	id, err := k.create(testContext(t), pod, config, nil, "i=0; while true; do i=$((i+1)); echo $i; sleep 0.05; done")
	require.NoError(t, err)
	_, err = k.StartContainer(testContext(t), &runtime.StartContainerRequest{ContainerId: id})
	require.NoError(t, err)
	waiting, err := k.create(testContext(t), pod, &runtime.PodSandboxConfig{Metadata: config.Metadata, Linux: config.Linux}, nil, "sleep 1000")
	require.ErrorContains(t, err, "reserved", "it has the other's name: %s", waiting)
	before, err := k.ContainerStatus(testContext(t), &runtime.ContainerStatusRequest{ContainerId: id})
	require.NoError(t, err)
	k.d.load(t, "box")
	docker := k.d.run(t, "echo hello")
	assert.Equal(t, "hello\n", docker.stdout)
	list, err := k.d.client.ContainerList(testContext(t), client.ContainerListOptions{All: true})
	require.NoError(t, err)
	assert.Len(t, list.Items, 1, "Docker's API does not show pods")

	k.d.signal(syscall.SIGKILL)
	_, err = k.Version(testContext(t), &runtime.VersionRequest{})
	assert.Equal(t, codes.Unavailable, status.Code(err))
	require.NoError(t, k.d.start(), "over the socket that the killed one left")

	after, err := k.ContainerStatus(testContext(t), &runtime.ContainerStatusRequest{ContainerId: id}, grpc.WaitForReady(true))
	require.NoError(t, err)
	assert.Equal(t, runtime.ContainerState_CONTAINER_RUNNING, after.Status.State)
	assert.Equal(t, before.Status.StartedAt, after.Status.StartedAt)
	assert.Equal(t, before.Status.Metadata.Attempt, after.Status.Metadata.Attempt, "kubelet counts no restart")
	env := k.exec(t, id, "env")
	assert.Contains(t, env, "SEEN_BY_MOODY=1\n")
	assert.Contains(t, env, "STARTED_BY_SECOND=1\n")
	log := filepath.Join(k.logs, "outlives.log")
	size := func() int64 {
		info, err := os.Stat(log)
		require.NoError(t, err)
		return info.Size()
	}
	begun := size()
	require.Eventually(t, func() bool { return size() > begun }, 10*time.Second, 20*time.Millisecond, "its output is read again")
}

func TestHooksOfAMisbehavingPluginOnPods(t *testing.T) {
	k := newKubelet(t)
	pod, config := k.pod(t, "moody")
	for mood, want := range map[string]struct {
		code codes.Code
		text string
	}{
		"PreCreateContainer:error": {codes.PermissionDenied, `plugin "moody": PreCreateContainer: moody today`},
		"PreCreateContainer:panic": {codes.Unknown, `plugin "moody": PreCreateContainer: panic: moody panics`},
		"PreCreateContainer:hang":  {codes.DeadlineExceeded, `plugin "moody": PreCreateContainer`},
		"PreCreateContainer:nil":   {codes.Unknown, `plugin "moody": PreCreateContainer: it set HostConfig to nil`},
		"PreCreate:error":          {codes.PermissionDenied, `plugin "moody": PreCreate: moody today`},
		"PreCreate:nil":            {codes.Unknown, `plugin "moody": PreCreate: it set HostConfig to nil`},
	} {
		t.Run(mood, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(testContext(t), 10*time.Second)
			defer cancel()
			_, err := k.create(ctx, pod, config, map[string]string{"moody": mood}, "sleep 1000")
			assert.Equal(t, want.code, status.Code(err), "%v", err)
			assert.ErrorContains(t, err, want.text)
			assert.NoError(t, ctx.Err(), "long before kubelet gives up")
		})
	}
	list, err := k.ListContainers(testContext(t), &runtime.ListContainersRequest{})
	require.NoError(t, err)
	assert.Empty(t, list.Containers)
	id, err := k.create(testContext(t), pod, config, map[string]string{"moody": "PreStart:panic"}, "sleep 1000")
	require.NoError(t, err)
	_, err = k.StartContainer(testContext(t), &runtime.StartContainerRequest{ContainerId: id})
	assert.ErrorContains(t, err, `plugin "moody": PreStart: panic: moody panics`)
	_, err = k.Version(testContext(t), &runtime.VersionRequest{})
	assert.NoError(t, err, "the daemon lives")
}
