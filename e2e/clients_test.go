package e2e

import (
	"archive/tar"
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/stretchr/testify/require"
)

// The clients below know nothing of this suite: each is built from a module
// of its own under clients/ and is told where the daemon is, as a user would.

// clientBinary builds a client in its module, once.
func clientBinary(t *testing.T, dir, name string, build ...string) string {
	t.Helper()
	out := filepath.Join(built.dir, name)
	if _, err := os.Stat(out); err == nil {
		return out
	}
	cmd := exec.Command("go", append([]string{build[0], "-trimpath", "-ldflags=-s -w", "-o", out}, build[1:]...)...)
	cmd.Dir = filepath.Join("clients", dir)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=-mod=readonly")
	text, err := combinedOutputOutside(cmd)
	require.NoError(t, err, "%s", text)
	return out
}

// environment is a client's: nothing but where the daemon is.
func (d *daemon) environment(t *testing.T, more ...string) []string {
	t.Helper()
	return append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + t.TempDir(), "DOCKER_HOST=unix://" + d.socket}, more...)
}

// passes runs the tests of a client in a folder.
func (d *daemon) passes(t *testing.T, dir string, env []string, program string, args ...string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Dir, cmd.Env = dir, d.environment(t, env...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // with what it starts
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	out, err := cmd.CombinedOutput()
	t.Logf("%s\n%s", strings.Join(cmd.Args, " "), out)
	require.NoError(t, err)
}

// The reaper that testcontainers-go starts by itself. It is a Go program, but
// the module proxy does not serve it: who has built it (static, from
// github.com/testcontainers/moby-ryuk) says where it is.
const (
	reaperImage  = "testcontainers/ryuk:0.14.0"
	reaperBinary = "E2E_RYUK"
)

func TestClientTestcontainers(t *testing.T) {
	tests := clientBinary(t, "testcontainers", "testcontainers.test", "test", "-c", ".")
	t.Run("without the reaper", func(t *testing.T) {
		d := ownDaemon(t, built.daemon, embedded)
		d.load(t, "box:latest")
		d.passes(t, t.TempDir(), []string{"TESTCONTAINERS_RYUK_DISABLED=true"}, tests, "-test.v")
	})
	t.Run("with the reaper", func(t *testing.T) {
		program := os.Getenv(reaperBinary)
		if program == "" {
			t.Skip(reaperBinary + " does not say where the reaper's binary is")
		}
		d := ownDaemon(t, built.daemon, embedded)
		d.load(t, "box:latest")
		d.loadProgram(t, reaperImage, program)
		d.passes(t, t.TempDir(), nil, tests, "-test.v")
	})
}

// loadProgram loads an image of one static program.
func (d *daemon) loadProgram(t *testing.T, reference, program string) {
	t.Helper()
	text, err := os.ReadFile(program)
	require.NoError(t, err)
	var layer bytes.Buffer
	w := tar.NewWriter(&layer)
	require.NoError(t, w.WriteHeader(&tar.Header{Name: "program", Typeflag: tar.TypeReg, Mode: 0o755, Size: int64(len(text))}))
	_, err = w.Write(text)
	require.NoError(t, err)
	require.NoError(t, w.Close())
	img, err := imageOf(layer.Bytes(), v1.Config{Entrypoint: []string{"/program"}})
	require.NoError(t, err)
	d.loadImage(t, reference, img)
}
