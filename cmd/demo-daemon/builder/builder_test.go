package builder

import (
	"archive/zip"
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// proxy is a module proxy in a folder, as go accepts them.
type proxy struct{ dir string }

// publish adds a version of a module. The files are "name: content".
func (p proxy) publish(t *testing.T, module, version string, files map[string]string) {
	t.Helper()
	dir := filepath.Join(p.dir, module, "@v")
	require.NoError(t, os.MkdirAll(dir, 0o755))
	write := func(ext, text string) {
		require.NoError(t, os.WriteFile(filepath.Join(dir, version+ext), []byte(text), 0o600))
	}
	write(".info", `{"Version": "`+version+`"}`)
	write(".mod", files["go.mod"])
	f, err := os.Create(filepath.Join(dir, version+".zip"))
	require.NoError(t, err)
	z := zip.NewWriter(f)
	for name, text := range files {
		w, err := z.Create(module + "@" + version + "/" + name)
		require.NoError(t, err)
		_, err = io.WriteString(w, text)
		require.NoError(t, err)
	}
	require.NoError(t, z.Close())
	require.NoError(t, f.Close())
}

const (
	quota = "example.com/acme/quota"
	lib   = "example.com/lib"
)

// publishAll publishes a pouchfx that is as small as can be, and plugins.
func publishAll(t *testing.T) proxy {
	p := proxy{t.TempDir()}
	for _, version := range []string{"v1.2.3", "v1.4.0"} {
		p.publish(t, Module, version, map[string]string{
			"go.mod":                             "module " + Module + "\n\ngo 1.26\n\nrequire " + lib + " v1.0.0\n",
			"plugins/plugins.go":                 "package plugins\n\ntype Provided struct{ Name string }\n",
			"modules/containerd/assets/none.go":  "package assets\n\nvar Runc string\n",
			"cmd/demo-daemon/daemon/minimal.go":  "//go:build minimal\n\npackage daemon\n\nconst target = \"minimal\"\n",
			"cmd/demo-daemon/daemon/default.go":  "//go:build !minimal\n\npackage daemon\n\nconst target = \"default\"\n",
			"cmd/demo-daemon/daemon/commands.go": "package daemon\n\nimport (\n\t\"fmt\"\n\n\t\"" + lib + "\"\n\t\"" + Module + "/modules/containerd/assets\"\n\t\"" + Module + "/plugins\"\n)\n\nfunc Main(more ...*plugins.Provided) {\n\tfmt.Println(target, lib.Version, assets.Runc)\n\tfor _, p := range more {\n\t\tfmt.Println(p.Name)\n\t}\n}\n",
		})
	}
	for version, needs := range map[string]string{"v1.0.0": "", "v1.1.0": "", "v1.2.0": "require " + Module + " v1.4.0\n"} {
		p.publish(t, lib, version, map[string]string{"go.mod": "module " + lib + "\n\ngo 1.26\n\n" + needs, "lib.go": "package lib\n\nconst Version = \"" + version + "\"\n"})
	}
	for version, about := range map[string]struct{ needs, code string }{
		"v1.0.0": {"v1.2.3", "var Module = &plugins.Provided{Name: \"quota\"}"},
		"v1.1.0": {"v1.4.0", "var Module = &plugins.Provided{Name: \"quota\"}"},
		"v1.2.0": {"v1.2.3", "var Modul = &plugins.Provided{Name: \"quota\"}"},
		"v1.3.0": {"v1.2.3", "var Module = plugins.Provided{Name: \"quota\"}"},
		"v1.4.0": {"v1.2.3", "var Module = &plugins.Provided{Priority: 1}"},
		"v1.5.0": {"v1.2.3\n\t" + lib + " v1.1.0", "var Module = &plugins.Provided{Name: lib.Version}"},
		"v1.6.0": {"v1.2.3\n\t" + lib + " v1.2.0", "var Module = &plugins.Provided{Name: lib.Version}"},
	} {
		p.publish(t, quota, version, quotaModule(about.needs, about.code))
	}
	return p
}

func quotaModule(needs, code string) map[string]string {
	imports := "import \"" + Module + "/plugins\"\n"
	if strings.Contains(code, "lib.") {
		imports += "import \"" + lib + "\"\n"
	}
	return map[string]string{
		"go.mod":   "module " + quota + "\n\ngo 1.26\n\nrequire (\n\t" + Module + " " + needs + "\n)\n",
		"quota.go": "package quota\n\n" + imports + "\n" + code + "\n",
	}
}

// request is one that works, in an environment where all modules come from
// the proxy.
func request(t *testing.T) Request {
	p := publishAll(t)
	t.Setenv("GOPROXY", "file://"+p.dir)
	t.Setenv("GOSUMDB", "off")
	modules := filepath.Join(t.TempDir(), "modules")
	t.Setenv("GOMODCACHE", modules)
	t.Cleanup(func() { // go makes its folders read-only
		_ = filepath.WalkDir(modules, func(path string, d os.DirEntry, err error) error {
			if err == nil && d.IsDir() {
				err = os.Chmod(path, 0o700)
			}
			return err
		})
	})
	temporary := t.TempDir()
	t.Setenv("TMPDIR", temporary)
	out := filepath.Join(t.TempDir(), "acme-daemon")
	t.Cleanup(func() {
		for _, dir := range []string{temporary, filepath.Dir(out)} {
			left, err := os.ReadDir(dir)
			require.NoError(t, err)
			for _, f := range left {
				assert.Equal(t, "acme-daemon", f.Name(), "it is left behind")
			}
		}
	})
	return Request{Target: "minimal", Version: "v1.2.3", Plugins: []string{quota + "@v1.0.0"}, Output: out, Progress: io.Discard}
}

func folder(t *testing.T, files map[string]string) string {
	dir := t.TempDir()
	for name, text := range files {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600))
	}
	return dir
}

func made(t *testing.T, r Request) *Report {
	t.Helper()
	report, err := Build(t.Context(), r)
	require.NoError(t, err)
	return report
}

func TestADaemonHasItsTargetPluginsAndPrograms(t *testing.T) {
	r := request(t)
	audit := map[string]string{"go.mod": "module example.com/acme/audit\n\ngo 1.26\n", "audit.go": "package audit\n\nimport \"" + Module + "/plugins\"\n\nvar Module = &plugins.Provided{Name: \"audit\"}\n"}
	local := folder(t, audit)
	r.Plugins = append(r.Plugins, local)
	r.Programs = []Program{{"modules/containerd/assets", "Runc", "the runc"}}
	report := made(t, r)

	out, err := exec.Command(r.Output).Output()
	require.NoError(t, err)
	assert.Equal(t, "minimal v1.0.0 the runc\nquota\naudit\n", string(out))
	assert.Equal(t, "v1.2.3", report.Pouchfx.Version)
	assert.NotEmpty(t, report.Pouchfx.Sum)
	require.Len(t, report.Plugins, 2)
	assert.Equal(t, quota, report.Plugins[0].Module)
	assert.Equal(t, "v1.0.0", report.Plugins[0].Version)
	assert.NotEmpty(t, report.Plugins[0].Sum)
	assert.Equal(t, local, report.Plugins[1].Replaced)
	assert.True(t, report.Carries)
	assert.Empty(t, report.Moved)

	var text strings.Builder
	require.NoError(t, report.Write(&text))
	assert.Regexp(t, `plugin +example.com/acme/quota v1.0.0 h1:`, text.String())
	assert.Contains(t, text.String(), report.SHA256)
}

func TestTheSameRequestMakesTheSameBytes(t *testing.T) {
	r := request(t)
	first := made(t, r)
	t.Setenv("GOFLAGS", "-tags=default -ldflags=-X=main.x=1")
	t.Setenv("GOOS", "windows")
	t.Setenv("CGO_ENABLED", "1")
	t.Setenv("GOCACHE", t.TempDir())
	t.Setenv("TMPDIR", t.TempDir())
	r.Output += "2"
	second := made(t, r)
	assert.Equal(t, first.SHA256, second.SHA256)
	require.NoError(t, os.Remove(r.Output))

	r.Plugins = []string{quota + "@v1.5.0"}
	assert.NotEqual(t, first.SHA256, made(t, r).SHA256)
	require.NoError(t, os.Remove(r.Output))
}

func TestModulesThatPluginsMoveAreReported(t *testing.T) {
	r := request(t)
	r.Plugins = []string{quota + "@v1.5.0"}
	assert.Equal(t, []string{lib + " v1.1.0, not v1.0.0"}, made(t, r).Moved)
}

func TestAnotherPouchfxTakesItsPlace(t *testing.T) {
	r := request(t)
	r.Version = ""
	_, err := Build(t.Context(), r)
	require.ErrorContains(t, err, "say where its source is, --replace "+Module+"=")

	r.Replace = []string{Module + "=" + Module + "@v1.4.0"}
	report := made(t, r)
	assert.Equal(t, "v1.4.0", report.Pouchfx.Version)
}

func TestWhatCannotBeBuiltIsRefused(t *testing.T) {
	r := request(t)
	require.NoError(t, os.WriteFile(r.Output, []byte("the one before"), 0o755))
	local := func(code string) string { return folder(t, quotaModule("v1.4.0", code)) }
	program := folder(t, map[string]string{"go.mod": "module example.com/p\n", "main.go": "package main\n\nfunc main() {}\n"})
	for about, c := range map[string]struct {
		change func(r *Request)
		errs   []string
	}{
		"a newer pouchfx": {func(r *Request) { r.Plugins = []string{quota + "@v1.1.0"} },
			[]string{"plugin " + quota + "@v1.1.0 needs pouchfx v1.4.0, and this demo-daemon is made of v1.2.3", "older version of the plugin"}},
		"a newer pouchfx, for a folder": {func(r *Request) { r.Plugins = []string{local("var Module = &plugins.Provided{}")} },
			[]string{"needs pouchfx v1.4.0"}},
		"a newer pouchfx, by way of another": {func(r *Request) { r.Plugins = []string{quota + "@v1.6.0"} },
			[]string{"plugin " + quota + "@v1.6.0 (by way of " + lib + "@v1.2.0) needs pouchfx v1.4.0"}},
		"no Module": {func(r *Request) { r.Plugins = []string{quota + "@v1.2.0"} },
			[]string{"plugin " + quota + "@v1.2.0 exports no variable Module of the type *plugins.Provided", "undefined: plugin0.Module"}},
		"a Module of another type": {func(r *Request) { r.Plugins = []string{quota + "@v1.3.0"} },
			[]string{"exports no variable Module of the type *plugins.Provided", "cannot use plugin0.Module"}},
		"what does not compile": {func(r *Request) { r.Plugins = []string{quota + "@v1.4.0"} },
			[]string{"plugin " + quota + "@v1.4.0 does not compile with pouchfx", "unknown field Priority"}},
		"an unknown version": {func(r *Request) { r.Plugins = []string{quota + "@v9.9.9"} }, []string{"cannot get the plugins", "v9.9.9"}},
		"an unknown pouchfx": {func(r *Request) { r.Version = "v9.9.9" }, []string{"cannot get pouchfx v9.9.9"}},
		"no version":         {func(r *Request) { r.Plugins = []string{quota} }, []string{"say which version, such as " + quota + "@v1.2.3"}},
		"a flag":             {func(r *Request) { r.Plugins = []string{"-x@v1"} }, []string{"this is no import path"}},
		"no folder":          {func(r *Request) { r.Plugins = []string{"./absent"} }, []string{"there is no such folder"}},
		"no package":         {func(r *Request) { r.Plugins = []string{t.TempDir()} }, []string{"the folder has no Go package"}},
		"a program":          {func(r *Request) { r.Plugins = []string{program} }, []string{"the folder has a program"}},
		"half a replacement": {func(r *Request) { r.Replace = []string{lib} }, []string{"write old=new"}},
		"no replacement":     {func(r *Request) { r.Replace = []string{lib + "=/absent"} }, []string{"the folder has no Go module"}},
		"no such target":     {func(r *Request) { r.Target = "maximal" }, []string{`unknown target "maximal": there are default, minimal, kube`}},
		"no output":          {func(r *Request) { r.Output = "" }, []string{"--output"}},
		"a folder as output": {func(r *Request) { r.Output = filepath.Dir(r.Output) }, []string{"is there and is no file"}},
		"output nowhere":     {func(r *Request) { r.Output = "/absent/acme" }, []string{"make it first"}},
	} {
		t.Run(about, func(t *testing.T) {
			r := r
			c.change(&r)
			_, err := Build(t.Context(), r)
			for _, text := range c.errs {
				require.ErrorContains(t, err, text)
			}
		})
	}
	text, err := os.ReadFile(r.Output)
	require.NoError(t, err)
	assert.Equal(t, "the one before", string(text))
}

func TestWithoutTheProxyTheErrorSaysSo(t *testing.T) {
	r := request(t)
	t.Setenv("GOPROXY", "http://127.0.0.1:1")
	_, err := Build(t.Context(), r)
	require.ErrorContains(t, err, "cannot reach where modules come from (GOPROXY=http://127.0.0.1:1)")
}

func TestWithoutGoTheErrorSaysWhatToInstall(t *testing.T) {
	r := request(t)
	t.Setenv("PATH", t.TempDir())
	_, err := Build(t.Context(), r)
	require.ErrorContains(t, err, "there is no go command on PATH")
}

func TestABuildThatIsInterruptedLeavesNothing(t *testing.T) {
	r := request(t)
	ctx, cancel := context.WithCancelCause(t.Context())
	interrupted := errors.New("interrupted")
	r.Progress = writer(func(p []byte) {
		if strings.Contains(string(p), "compiling") {
			cancel(interrupted)
		}
	})
	_, err := Build(ctx, r)
	require.ErrorIs(t, err, interrupted)
	assert.NoFileExists(t, r.Output)
}

type writer func([]byte)

func (w writer) Write(p []byte) (int, error) { w(p); return len(p), nil }
