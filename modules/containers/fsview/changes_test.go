package fsview

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/moby/moby/api/types/container"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

func TestChangesOfAnOverlay(t *testing.T) {
	tr := newTree(t)
	lower, upper, work := t.TempDir(), t.TempDir(), t.TempDir()
	base := &tree{t, lower, tr.outside}
	for _, name := range []string{"same/a", "edit/a", "edit/b", "gone/a", "gone/sub/b", "again/old", "again/kept", "mode", "kind/a", "renamed/a", "deep/x/y/z"} {
		base.file(name, name)
	}
	if err := unix.Mount("overlay", tr.root, "overlay", 0, fmt.Sprintf("lowerdir=%s,upperdir=%s,workdir=%s", lower, upper, work)); err != nil {
		t.Skip("no overlay here: ", err)
	}
	defer unix.Unmount(tr.root, unix.MNT_DETACH)
	path := func(name string) string { return filepath.Join(tr.root, name) }
	tr.file("new/dir/f", "n")
	tr.file("edit/a", "longer than before")
	require.NoError(t, os.Remove(path("edit/b")))
	require.NoError(t, os.RemoveAll(path("gone")))
	require.NoError(t, os.RemoveAll(path("again")))
	tr.file("again/new", "n") // opaque
	require.NoError(t, os.Chmod(path("mode"), 0o600))
	require.NoError(t, os.RemoveAll(path("kind")))
	tr.file("kind", "a file now")
	require.NoError(t, os.Rename(path("renamed/a"), path("renamed/b")))
	require.NoError(t, os.Chown(path("deep/x/y/z"), 3, 3))
	tr.link("/etc", "link")

	now, before, changed := tr.open(), base.open(), (&tree{t, upper, ""}).open()
	want := []string{
		"C /again", "D /again/kept", "A /again/new", "D /again/old", "C /deep", "C /deep/x", "C /deep/x/y", "C /deep/x/y/z",
		"C /edit", "C /edit/a", "D /edit/b", "D /gone", "C /kind", "A /link", "C /mode", "A /new", "A /new/dir", "A /new/dir/f",
		"C /renamed", "D /renamed/a", "A /renamed/b",
	}
	for name, hint := range map[string]*View{"with the upper directory": changed, "of everything": nil} {
		found, err := Changes(t.Context(), now, before, hint)
		require.NoError(t, err)
		assert.Equal(t, want, shown(found), name)
	}
	found, err := Changes(t.Context(), before, before, nil)
	require.NoError(t, err)
	assert.Nil(t, found)
	found, err = Changes(t.Context(), (&tree{t, filepath.Join(lower, "deep"), ""}).open(), nil, nil)
	require.NoError(t, err)
	assert.Equal(t, []string{"A /x", "A /x/y", "A /x/y/z"}, shown(found))
	found, err = Changes(t.Context(), now, before, changed, "/new", "/link", "/edit/a", "/renamed/b")
	require.NoError(t, err)
	assert.NotContains(t, shown(found), "A /new")
	assert.NotContains(t, shown(found), "A /new/dir")
	assert.Contains(t, shown(found), "C /edit/a", "only what is new can be ignored")
}

func shown(found []container.FilesystemChange) (all []string) {
	for _, c := range found {
		all = append(all, c.Kind.String()+" "+c.Path)
	}
	return all
}
