package containerdtest

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/pouchfx/pouchfx/modules/containerd"
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
