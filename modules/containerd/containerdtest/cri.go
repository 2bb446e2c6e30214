package containerdtest

import (
	"archive/tar"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	cri "k8s.io/cri-api/pkg/apis/runtime/v1"

	"github.com/pouchfx/pouchfx/modules/containerd"
	"github.com/pouchfx/pouchfx/modules/containerd/shim"
)

// CRI is Config with a CRI that depends on nothing of the host's: there are no
// networks for pods and no registries, and cgroups are made without systemd.
// The test imports package criplugins.
func CRI(t testing.TB) containerd.Config {
	t.Helper()
	c := Config(t)
	dir := t.TempDir()
	c.CRI = &containerd.CRIConfig{
		CNIConfDir:   filepath.Join(dir, "net.d"),
		CNIBinDirs:   []string{filepath.Join(dir, "bin")},
		RegistryDirs: []string{filepath.Join(dir, "certs.d")},
		CgroupDriver: containerd.CgroupFS,
		Pause:        pause(t),
	}
	return c
}

// StockCRI is a containerd with CRI, which does not run yet, and the
// configuration of an engine that uses it. Its image of pods' first process is
// StockPause, which the test has to give it.
func StockCRI(t testing.TB) (*Stock, containerd.Config) {
	t.Helper()
	c := Config(t)
	s := newStock(t, fmt.Sprintf(`disabled_plugins = ["io.containerd.nri.v1.nri", "io.containerd.internal.v1.opt"]
[plugins."io.containerd.cri.v1.images".pinned_images]
  sandbox = %q
[plugins."io.containerd.cri.v1.runtime"]
  restrict_oom_score_adj = true
[plugins."io.containerd.cri.v1.runtime".cni]
  conf_dir = %q
  use_internal_loopback = true
[plugins."io.containerd.cri.v1.runtime".containerd.runtimes.runc]
  runtime_type = "io.containerd.runc.v2"
  runtime_path = %q`, StockPause, t.TempDir(), filepath.Join(c.Root, "bin", shim.Name)))
	c.Address, c.CRI = s.Address, &containerd.CRIConfig{}
	return s, c
}

// StockPause names the image of pods' first process of a [Stock].
const StockPause = "docker.io/test/pause:1"

// Pause is an image of pods' first process.
func Pause(t testing.TB) v1.Image {
	t.Helper()
	img := Image(t, Layer(t, []tar.Header{{Name: "pause", Typeflag: tar.TypeReg, Mode: 0o755}}, map[string]string{"pause": pause(t)}))
	img, err := mutate.Config(img, v1.Config{Entrypoint: []string{"/pause"}})
	require.NoError(t, err)
	return img
}

// RemovePods ends all pods of an engine.
func RemovePods(t testing.TB, e *containerd.Engine) {
	t.Helper()
	removePods(t.Context(), t, e)
}

// removePods ends all pods of an engine.
func removePods(ctx context.Context, t testing.TB, e *containerd.Engine) {
	k := cri.NewRuntimeServiceClient(e.CRI())
	pods, err := k.ListPodSandbox(ctx, &cri.ListPodSandboxRequest{})
	if status.Code(err) == codes.Unavailable {
		return // an external containerd that the test has ended
	}
	require.NoError(t, err)
	for _, p := range pods.Items {
		_, err := k.StopPodSandbox(ctx, &cri.StopPodSandboxRequest{PodSandboxId: p.Id})
		require.NoError(t, err)
		_, err = k.RemovePodSandbox(ctx, &cri.RemovePodSandboxRequest{PodSandboxId: p.Id})
		require.NoError(t, err)
	}
}

// pause is the first process of pods, built from its source.
func pause(t testing.TB) string {
	t.Helper()
	path, err := cached("pause", buildPause)
	require.NoError(t, err)
	program, err := os.ReadFile(path)
	require.NoError(t, err)
	return string(program)
}

func buildPause(out string) *exec.Cmd {
	return exec.Command(filepath.Join(source(), "tools", "build-pause"), out)
}
