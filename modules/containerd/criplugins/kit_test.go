package criplugins_test

import (
	"os"
	"testing"
	"time"

	"github.com/containerd/containerd/v2/client"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/stretchr/testify/require"
	cri "k8s.io/cri-api/pkg/apis/runtime/v1"

	"github.com/pouchfx/pouchfx/modules/containerd"
	"github.com/pouchfx/pouchfx/modules/containerd/containerdtest"
	_ "github.com/pouchfx/pouchfx/modules/containerd/criplugins"
	"github.com/pouchfx/pouchfx/modules/containerd/shim"
	"github.com/pouchfx/pouchfx/modules/networks/cnitest"
	"github.com/pouchfx/pouchfx/modules/networks/netnstest"
)

// TestMain has the tests run in a network namespace: they make a bridge.
func TestMain(m *testing.M) {
	if !shim.Requested() {
		cnitest.Build()
		containerdtest.Build()
		netnstest.Enter()
	}
	containerdtest.Main(m)
}

const (
	box = "docker.io/test/box:1"

	waitFor = 20 * time.Second
	tick    = 5 * time.Millisecond
)

// kubelet calls CRI as kubelet does.
type kubelet struct {
	cri.RuntimeServiceClient
	cri.ImageServiceClient
}

func kubeletOf(e *containerd.Engine) kubelet {
	return kubelet{cri.NewRuntimeServiceClient(e.CRI()), cri.NewImageServiceClient(e.CRI())}
}

// pod is the configuration of a pod on the host's network.
func pod(t testing.TB, name string) *cri.PodSandboxConfig {
	return &cri.PodSandboxConfig{
		Metadata:     &cri.PodSandboxMetadata{Name: name, Uid: "uid-" + name, Namespace: "default"},
		LogDirectory: t.TempDir(),
		Linux: &cri.LinuxPodSandboxConfig{SecurityContext: &cri.LinuxSandboxSecurityContext{
			NamespaceOptions: &cri.NamespaceOption{Network: cri.NamespaceMode_NODE},
		}},
	}
}

// run runs a pod until the end of the test.
func (k kubelet) run(t testing.TB, p *cri.PodSandboxConfig) (sandbox string) {
	t.Helper()
	made, err := k.RunPodSandbox(t.Context(), &cri.RunPodSandboxRequest{Config: p})
	require.NoError(t, err)
	return made.PodSandboxId
}

// container starts a container of a pod that runs a script.
func (k kubelet) container(t testing.TB, sandbox string, p *cri.PodSandboxConfig, script string) (id string) {
	t.Helper()
	made, err := k.CreateContainer(t.Context(), &cri.CreateContainerRequest{
		PodSandboxId: sandbox, SandboxConfig: p,
		Config: &cri.ContainerConfig{
			Metadata: &cri.ContainerMetadata{Name: "c"},
			Image:    &cri.ImageSpec{Image: box},
			Command:  []string{"sh", "-c", script},
			LogPath:  "c.log",
		},
	})
	require.NoError(t, err)
	_, err = k.StartContainer(t.Context(), &cri.StartContainerRequest{ContainerId: made.ContainerId})
	require.NoError(t, err)
	return made.ContainerId
}

// give gives pods an image.
func give(t testing.TB, e *containerd.Engine, name string, img v1.Image) {
	t.Helper()
	imported, err := e.PodClient().Import(t.Context(), containerdtest.Archive(t, name, img))
	require.NoError(t, err)
	require.NoError(t, client.NewImage(e.PodClient(), imported[0]).Unpack(t.Context(), e.Snapshotter()))
	require.Eventually(t, func() bool { return kubeletOf(e).image(t, name) != nil }, waitFor, tick)
}

// image is what CRI knows of an image; nil when that is nothing.
func (k kubelet) image(t testing.TB, name string) *cri.Image {
	t.Helper()
	s, err := k.ImageStatus(t.Context(), &cri.ImageStatusRequest{Image: &cri.ImageSpec{Image: name}})
	require.NoError(t, err)
	return s.Image
}

func read(t testing.TB, file string) string {
	t.Helper()
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	return string(text)
}
