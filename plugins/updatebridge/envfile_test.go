package updatebridge_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const file = "/run/instance/env"

func TestTheFileHasTheVariablesAsAShellReadsThem(t *testing.T) {
	rootfs := t.TempDir()
	env := []string{"A=b", "EMPTY=", "QUOTED=it's $HOME \"x\"", "LINES=one\ntwo", "BARE", "a.b=no name", "1A=no name", "X;touch /tmp/x=no name", "A=last"}
	for range 2 { // the second replaces the first
		require.NoError(t, newPlugin(t, rules).PostUpdate(t.Context(), rootfs, env))
	}
	text, err := os.ReadFile(rootfs + file)
	require.NoError(t, err)
	assert.Equal(t, "A='b'\nEMPTY=''\nQUOTED='it'\"'\"'s $HOME \"x\"'\nLINES='one\ntwo'\nBARE=''\nA='last'\n", string(text))
	info, err := os.Stat(rootfs + file)
	require.NoError(t, err)
	assert.Equal(t, os.FileMode(0o600), info.Mode())
	entries, err := os.ReadDir(filepath.Dir(rootfs + file))
	require.NoError(t, err)
	assert.Len(t, entries, 1, "no temporary file stays")

	out, err := exec.Command("/bin/sh", "-c", `. "$1"; printf '%s|%s|%s' "$A" "$QUOTED" "$LINES"`, "sh", rootfs+file).CombinedOutput()
	require.NoError(t, err, string(out))
	assert.Equal(t, "last|it's $HOME \"x\"|one\ntwo", string(out))
}

func TestTheModeIsTheConfiguredOne(t *testing.T) {
	rootfs := t.TempDir()
	p := newPlugin(t, "    env-file: {path: /env, mode: 0666}\n")
	require.NoError(t, p.PostUpdate(t.Context(), rootfs, nil))
	info, err := os.Stat(rootfs + "/env")
	require.NoError(t, err)
	assert.Equal(t, os.FileMode(0o666), info.Mode(), "whatever the umask")

	nothing := t.TempDir()
	require.NoError(t, newPlugin(t, "    {}\n").PostUpdate(t.Context(), nothing, []string{"A=b"}))
	entries, err := os.ReadDir(nothing)
	require.NoError(t, err)
	assert.Empty(t, entries)
}

func TestNoLinkLeadsOutOfTheContainer(t *testing.T) {
	for about, plant := range map[string]func(t *testing.T, rootfs, outside string){
		"the file":            func(t *testing.T, rootfs, outside string) { link(t, outside+"/victim", rootfs+file) },
		"the file, relative":  func(t *testing.T, rootfs, outside string) { link(t, "../../../outside/victim", rootfs+file) },
		"its folder":          func(t *testing.T, rootfs, outside string) { link(t, outside, rootfs+"/run/instance") },
		"its folder, far up":  func(t *testing.T, rootfs, outside string) { link(t, "../../outside", rootfs+"/run/instance") },
		"its folder's folder": func(t *testing.T, rootfs, outside string) { link(t, outside, rootfs+"/run") },
	} {
		t.Run(about, func(t *testing.T) {
			dir := t.TempDir()
			rootfs, outside := dir+"/rootfs", dir+"/outside"
			require.NoError(t, os.Mkdir(rootfs, 0o755))
			require.NoError(t, os.Mkdir(outside, 0o755))
			require.NoError(t, os.WriteFile(outside+"/victim", []byte("kept"), 0o644))
			plant(t, rootfs, outside)
			err := newPlugin(t, rules).PostUpdate(t.Context(), rootfs, []string{"A=b"})

			entries, readErr := os.ReadDir(outside)
			require.NoError(t, readErr)
			assert.Len(t, entries, 1, "nothing is written outside")
			kept, readErr := os.ReadFile(outside + "/victim")
			require.NoError(t, readErr)
			assert.Equal(t, "kept", string(kept))
			if about[:8] == "the file" { // the link is replaced
				require.NoError(t, err)
				info, err := os.Lstat(rootfs + file)
				require.NoError(t, err)
				assert.True(t, info.Mode().IsRegular())
			} else {
				assert.ErrorContains(t, err, "cannot write the variables to /run/instance/env in the container")
			}
		})
	}
}

func link(t *testing.T, target, name string) {
	t.Helper()
	require.NoError(t, os.MkdirAll(filepath.Dir(name), 0o755))
	require.NoError(t, os.Symlink(target, name))
}

func TestAFileThatCannotBeWrittenIsToldAndLeavesNothing(t *testing.T) {
	rootfs := t.TempDir()
	require.NoError(t, os.MkdirAll(rootfs+file+"/occupied", 0o755))
	require.ErrorContains(t, newPlugin(t, rules).PostUpdate(t.Context(), rootfs, nil), "cannot write the variables")
	entries, err := os.ReadDir(filepath.Dir(rootfs + file))
	require.NoError(t, err)
	assert.Len(t, entries, 1)
	require.Error(t, newPlugin(t, rules).PostUpdate(t.Context(), rootfs+"/none", nil))
}
