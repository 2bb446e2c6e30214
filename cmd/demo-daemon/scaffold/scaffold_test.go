package scaffold

import (
	"math/bits"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pouchfx/pouchfx/plugins"
)

// source is the replacement that makes new modules use this source.
func source(t *testing.T) []string {
	t.Helper()
	root, err := filepath.Abs("../../..")
	require.NoError(t, err)
	return []string{Pouchfx + "=" + root}
}

func goCommand(t *testing.T, dir string, args ...string) string {
	t.Helper()
	cmd := exec.Command("go", args...)
	cmd.Dir, cmd.Env = dir, append(os.Environ(), "GOWORK=off")
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s\n%s", cmd, out)
	return string(out)
}

func TestANewPluginPassesItsTests(t *testing.T) {
	replace := source(t)
	t.Chdir(t.TempDir())
	dir, err := Write(t.Context(), Request{Name: "disk-quota", Kinds: plugins.Kinds(), Replace: replace, Tidy: true})
	require.NoError(t, err)
	assert.Equal(t, "disk-quota", dir)
	assert.Contains(t, goCommand(t, dir, "test", "./..."), "ok  \texample.com/plugins/disk-quota")
	goCommand(t, dir, "mod", "verify")
}

// Plugins of one kind and of two are written into one module, which is compiled
// once.
func TestPluginsOfEveryKindAndPairOfKindsCompile(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "all")
	_, err := Write(t.Context(), Request{Name: "all", Dir: dir, Kinds: plugins.Kinds(), Replace: source(t), Tidy: true})
	require.NoError(t, err)
	known := plugins.Kinds()
	for set := uint(1); set < 1<<len(known); set++ {
		if bits.OnesCount(set) > 2 {
			continue
		}
		r := Request{Name: "note"}
		for i, k := range known {
			if set&(1<<i) != 0 {
				r.Kinds = append(r.Kinds, k)
			}
			r.Name += string('a' + rune(set>>i&1))
		}
		p, err := newPlugin(r)
		require.NoError(t, err)
		files, err := p.files()
		require.NoError(t, err)
		require.NoError(t, os.Mkdir(filepath.Join(dir, r.Name), 0o755))
		for _, name := range []string{"plugin.go", "plugin_test.go"} {
			require.NoError(t, os.WriteFile(filepath.Join(dir, r.Name, name), files[name], 0o644))
		}
	}
	goCommand(t, dir, "vet", "./...")
}

func TestMistakesAreNamedAndNothingIsWritten(t *testing.T) {
	t.Chdir(t.TempDir())
	for want, r := range map[string]Request{
		`name "Quota": use up to 40 lower-case letters`:                                   {Name: "Quota"},
		`name "": use up to 40`:                                                           {},
		`name "../quota": use`:                                                            {Name: "../quota"},
		`name "type": Go, or the plugin itself`:                                           {Name: "type"},
		`name "plugins": Go, or the plugin itself`:                                        {Name: "plugins"},
		`unknown kind "containers": there are api, container, cri, daemon, image, volume`: {Name: "quota", Kinds: []plugins.Kind{"containers"}},
		`no kinds: choose from api`:                                                       {Name: "quota", Kinds: []plugins.Kind{}},
		`module "a b": malformed module`:                                                  {Name: "quota", Module: "a b"},
		`replace "x": write old=new`:                                                      {Name: "quota", Replace: []string{"x"}},
		`replace "a.b/c=d": begin the path`:                                               {Name: "quota", Replace: []string{"a.b/c=d"}},
		`replace "a.b/c=./d": there is no Go`:                                             {Name: "quota", Replace: []string{"a.b/c=./d"}},
		`the folder `:                                                                     {Name: "quota", Dir: "absent/quota"},
		`nothing is written: go mod tidy`:                                                 {Name: "quota", Replace: []string{Pouchfx + "@v0.0.1=./empty"}, Tidy: true},
	} {
		if r.Kinds == nil {
			r.Kinds = []plugins.Kind{plugins.KindVolume}
		}
		if r.Tidy {
			require.NoError(t, os.Mkdir("empty", 0o755))
			require.NoError(t, os.WriteFile("empty/go.mod", []byte("module example.com/other\n"), 0o644))
			t.Setenv("GOPROXY", "off")
		}
		_, err := Write(t.Context(), r)
		assert.ErrorContains(t, err, want)
		require.NoError(t, os.RemoveAll("empty"))
		left, err := os.ReadDir(".")
		require.NoError(t, err)
		assert.Empty(t, left, want)
	}
}

func TestWhatIsThereStays(t *testing.T) {
	t.Chdir(t.TempDir())
	require.NoError(t, os.Mkdir("quota", 0o755))
	require.NoError(t, os.WriteFile("quota/plugin.go", []byte("mine"), 0o600))
	require.NoError(t, os.WriteFile("file", nil, 0o600))
	for _, dir := range []string{"quota", "file"} {
		_, err := Write(t.Context(), Request{Name: "quota", Dir: dir, Kinds: []plugins.Kind{plugins.KindDaemon}})
		assert.ErrorContains(t, err, "is there and stays as it is: choose another folder with --dir")
	}
	text, err := os.ReadFile("quota/plugin.go")
	require.NoError(t, err)
	assert.Equal(t, "mine", string(text))
	left, err := os.ReadDir(".")
	require.NoError(t, err)
	assert.Len(t, left, 2)
}
