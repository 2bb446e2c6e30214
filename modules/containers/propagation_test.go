package containers

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/moby/moby/api/types/mount"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/pouchfx/pouchfx/modules/containerd/containerdtest"
	"github.com/pouchfx/pouchfx/modules/containers/mountspec"
)

func TestPropagationNeedsTheHosts(t *testing.T) {
	containerdtest.RequireRoot(t)
	at := t.TempDir()
	require.NoError(t, unix.Mount("tmpfs", at, "tmpfs", 0, ""))
	defer unix.Unmount(at, unix.MNT_DETACH)
	below := filepath.Join(at, "a", "b")
	require.NoError(t, os.MkdirAll(below, 0o755))
	check := func(p mount.Propagation) error {
		var m mountspec.Mount
		m.Source, m.Propagation = below, p
		return checkPropagation(m)
	}
	require.NoError(t, unix.Mount("", at, "", unix.MS_PRIVATE, ""))
	assert.NoError(t, check(""))
	assert.NoError(t, check(mount.PropagationRPrivate))
	assert.EqualError(t, check(mount.PropagationRShared), "path "+below+" is mounted on "+at+" but it is not a shared mount")
	assert.EqualError(t, check(mount.PropagationSlave), "path "+below+" is mounted on "+at+" but it is not a shared or slave mount")
	require.NoError(t, unix.Mount("", at, "", unix.MS_SHARED, ""))
	assert.NoError(t, check(mount.PropagationShared))
	assert.NoError(t, check(mount.PropagationRSlave))
}
