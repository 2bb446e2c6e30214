package ocihooks_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/moby/moby/api/types/mount"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/pouchfx/pouchfx/modules/config"
	"github.com/pouchfx/pouchfx/plugins"
	"github.com/pouchfx/pouchfx/plugins/ocihooks"
	"github.com/pouchfx/pouchfx/plugins/plugintest"
	"github.com/pouchfx/pouchfx/types"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestThePluginKeepsTheContract(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "10-a.json", hookFile("/bin/true", `"always": true`))
	plugintest.Run(t, ocihooks.Module, plugintest.Config("directories: ["+dir+"]\nhooks: [{path: /bin/true}]\n"))
}

// load reads a section as the daemon does.
func load(t testing.TB, section string) (*config.Config, ocihooks.Config, error) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "config.yaml")
	require.NoError(t, os.WriteFile(file, []byte("plugins:\n  ocihooks:\n"+section+"\n"), 0o600))
	c, err := config.Load(file, nil, nil)
	require.NoError(t, err)
	var decoded ocihooks.Config
	policy := plugins.DefaultPolicy()
	err = c.Plugin("ocihooks", &policy, &decoded)
	return c, decoded, err
}

func newPlugin(t testing.TB, section string) *ocihooks.Plugin {
	t.Helper()
	_, c, err := load(t, section)
	require.NoError(t, err)
	p, err := ocihooks.New(c)
	require.NoError(t, err)
	return p
}

// write makes a file that has not changed for a while.
func write(t testing.TB, dir, name, text string) string {
	t.Helper()
	file := filepath.Join(dir, name)
	require.NoError(t, os.WriteFile(file, []byte(text), 0o600))
	past := time.Now().Add(-time.Hour)
	require.NoError(t, os.Chtimes(file, past, past))
	return file
}

func hookFile(path, when string) string {
	return fmt.Sprintf(`{"version": "1.0.0", "hook": {"path": %q}, "when": {%s}, "stages": ["prestart"]}`, path, when)
}

func container() *types.Container {
	c := &types.Container{ID: "id", Name: "web-1", Image: "nginx", Config: &types.ContainerConfig{}, HostConfig: &types.HostConfig{}}
	c.Config.Entrypoint, c.Config.Cmd = []string{"/usr/sbin/nginx"}, []string{"-g", "daemon off;"}
	c.Config.Labels = map[string]string{"tier": "front"}
	c.Annotations = map[string]string{"com.example.department": "fluid-dynamics"}
	return c
}

// programs are what a plugin asks for at a start.
func programs(t testing.TB, p *ocihooks.Plugin, c *types.Container) (list []plugins.HookProgram, priorities []int) {
	t.Helper()
	priorities, args, err := p.PreStart(t.Context(), c)
	require.NoError(t, err)
	for _, a := range args {
		var program plugins.HookProgram
		require.NoError(t, json.Unmarshal([]byte(a[len(a)-1]), &program))
		list = append(list, program)
	}
	return list, priorities
}

func TestHooksOfTheConfigurationRunWhereTheyMatch(t *testing.T) {
	p := newPlugin(t, `
    hooks:
      - when: {name: web-*, labels: {tier: front}}
        path: /bin/sh
        args: [sh, -c, "true"]
        env: [A=b c]
        timeout: 2s
        priority: 10
      - when: {image: postgres}
        path: /bin/true
      - path: /bin/true`)
	list, priorities := programs(t, p, container())
	assert.Equal(t, []plugins.HookProgram{
		{Name: "plugins.ocihooks.hooks[0]", Path: "/bin/sh", Args: []string{"sh", "-c", "true"}, Env: []string{"A=b c"}, Timeout: 2 * time.Second},
		{Name: "plugins.ocihooks.hooks[2]", Path: "/bin/true"},
	}, list)
	assert.Equal(t, []int{10, 0}, priorities)
}

func TestFilesAreReadAsPodmanReadsThem(t *testing.T) {
	bind := func(c *types.Container) { c.Mounts = []types.MountPoint{{Type: mount.TypeBind}} }
	volume := func(c *types.Container) { c.Mounts = []types.MountPoint{{Type: mount.TypeVolume}} }
	for _, c := range []struct {
		when   string
		change func(*types.Container)
		runs   bool
	}{
		{`"always": true`, nil, true},
		{`"always": false`, nil, false},
		{`"always": false, "commands": ["nginx"]`, nil, false},
		{`"hasBindMounts": true`, nil, false},
		{`"hasBindMounts": true`, volume, false},
		{`"hasBindMounts": true`, bind, true},
		{`"hasBindMounts": false`, nil, false},
		{`"commands": [".*/init$", ".*/nginx$"]`, nil, true},
		{`"commands": ["^nginx"]`, nil, false},
		{`"commands": [".*"]`, func(c *types.Container) { c.Config.Entrypoint, c.Config.Cmd = nil, nil }, false},
		{`"commands": ["^-g$"]`, func(c *types.Container) { c.Config.Entrypoint = nil }, true},
		{`"annotations": {"^com\\.example\\.department$": ".*dynamics$"}`, nil, true},
		{`"annotations": {"department": "static"}`, nil, false},
		{`"annotations": {"department": "fluid", "nobody": ".*"}`, nil, false},
		{`"always": true, "commands": ["postgres"]`, nil, false},
		{`"always": true, "commands": ["nginx"], "annotations": {"department": "fluid"}`, nil, true},
	} {
		dir := t.TempDir()
		write(t, dir, "a.json", hookFile("/bin/true", c.when))
		started := container()
		if c.change != nil {
			c.change(started)
		}
		list, _ := programs(t, newPlugin(t, "    directories: ["+dir+"]"), started)
		assert.Equal(t, c.runs, len(list) == 1, c.when)
	}
}

func TestALaterDirectoryReplacesFilesOfAnEarlierOne(t *testing.T) {
	vendor, admin := t.TempDir(), t.TempDir()
	always := `"always": true`
	write(t, vendor, "20-b.json", hookFile("/bin/false", always))
	write(t, vendor, "10-A.json", hookFile("/bin/cat", always))
	write(t, vendor, "30-broken.json", "{")
	write(t, vendor, "README", "no hook")
	require.NoError(t, os.Mkdir(filepath.Join(vendor, "dir.json"), 0o700))
	write(t, admin, "20-b.json", hookFile("/bin/true", always))
	write(t, admin, "10-a.json", hookFile("/bin/ls", `"always": true`))
	write(t, admin, "30-broken.json", hookFile("/bin/sh", `"always": false`))
	p := newPlugin(t, fmt.Sprintf("    directories: [%s, %s, /no/such]\n    priority: -7", vendor, admin))
	list, priorities := programs(t, p, container())
	var names []string
	for _, l := range list {
		names = append(names, l.Path+" "+filepath.Base(l.Name))
	}
	assert.Equal(t, []string{"/bin/cat 10-A.json", "/bin/ls 10-a.json", "/bin/true 20-b.json"}, names)
	assert.Equal(t, []int{-7, -7, -7}, priorities)
}

func TestADirectoryIsAsItIsAtEachStart(t *testing.T) {
	dir := t.TempDir()
	p := newPlugin(t, "    directories: ["+dir+"]")
	paths := func() (paths []string) {
		list, _ := programs(t, p, container())
		for _, l := range list {
			paths = append(paths, l.Path)
		}
		return paths
	}
	for range 2 {
		past := time.Now().Add(-time.Minute)
		require.NoError(t, os.Chtimes(dir, past, past)) // so that it is trusted
		assert.Empty(t, paths())
		assert.Empty(t, paths())
		file := write(t, dir, "a.json", hookFile("/bin/true", `"always": true`))
		assert.Equal(t, []string{"/bin/true"}, paths())
		write(t, dir, "a.json", hookFile("/bin/echo", `"always": true`)) // of the same size and time
		now := time.Now()
		require.NoError(t, os.Chtimes(file, now, now))
		assert.Equal(t, []string{"/bin/echo"}, paths())
		require.NoError(t, os.WriteFile(file, []byte(hookFile("/bin/true", `"always": true`)), 0o600))
		require.NoError(t, os.Chtimes(file, now, now))
		assert.Equal(t, []string{"/bin/true"}, paths(), "a file of this moment is not trusted")
		require.NoError(t, os.Remove(file))
	}
}

func TestFilesThatCannotBeFollowedAreNamed(t *testing.T) {
	valid := hookFile("/bin/true", `"always": true`)
	for want, text := range map[string]string{
		`line 3: invalid character '}'`:                       "{\"version\": \"1.0.0\",\n\"hook\": {\"path\": \"/bin/true\",\n}}",
		`line 1: unexpected end of JSON input`:                "",
		`line 1: version: number does not belong there`:       `{"version": 1}`,
		`line 2: hook.args: string does not belong there`:     "{\"version\": \"1.0.0\", \"hook\":\n{\"path\": \"/x\", \"args\": \"y\"}}",
		`version "": only 1.0.0 is read`:                      `{"hook": "/bin/true", "stages": ["prestart"]}`,
		`version "0.1.0": only 1.0.0 is read`:                 strings.Replace(valid, "1.0.0", "0.1.0", 1),
		`hook: it has no path`:                                strings.Replace(valid, "/bin/true", "", 1),
		`hook: path "true": must be absolute`:                 strings.Replace(valid, "/bin/true", "true", 1),
		`hook: env "A": write NAME=value`:                     strings.Replace(valid, `"path"`, `"env": ["A"], "path"`, 1),
		`hook: timeout 0: a runtime hook may take from 1`:     strings.Replace(valid, `"path"`, `"timeout": 0, "path"`, 1),
		`hook: timeout 61: a runtime hook may take`:           strings.Replace(valid, `"path"`, `"timeout": 61, "path"`, 1),
		`when: it gives none of`:                              strings.Replace(valid, `"always": true`, "", 1),
		"when: commands: error parsing regexp":                strings.Replace(valid, `"always": true`, `"commands": ["("]`, 1),
		"when: annotations: error parsing regexp":             strings.Replace(valid, `"always": true`, `"annotations": {"a": "["}`, 1),
		`stages: there are none`:                              strings.Replace(valid, `"prestart"`, "", 1),
		`stages: "later" is none`:                             strings.Replace(valid, `prestart`, "later", 1),
		`stages: "poststop": this daemon runs hooks in prest`: strings.Replace(valid, `"prestart"`, `"prestart", "poststop"`, 1),
		`is larger than 1 MiB`:                                strings.Repeat(" ", 2<<20),
	} {
		dir := t.TempDir()
		file := write(t, dir, "a.json", text)
		c, decoded, err := load(t, "    directories: ["+dir+"]")
		require.NoError(t, err)
		p, err := ocihooks.New(decoded)
		require.NoError(t, err)
		_, _, err = p.PreStart(t.Context(), container())
		assert.ErrorContains(t, err, file+": "+want)
		assert.ErrorContains(t, ocihooks.Module.Check(c), `plugin "ocihooks": `+file+": "+want)
		_, err = ocihooks.Module.Settle(c)
		assert.NoError(t, err, "the daemon starts")
	}
}

func TestAPipeIsNotReadFrom(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, syscall.Mkfifo(filepath.Join(dir, "a.json"), 0o600))
	_, _, err := newPlugin(t, "    directories: ["+dir+"]").PreStart(t.Context(), container())
	assert.ErrorContains(t, err, "a.json: is not a regular file")
}

func TestStagesMayBeIgnored(t *testing.T) {
	dir := t.TempDir()
	always := hookFile("/bin/true", `"always": true`)
	write(t, dir, "a.json", strings.Replace(always, `"prestart"`, `"prestart", "createRuntime", "poststop"`, 1))
	write(t, dir, "b.json", strings.Replace(always, `prestart`, `poststop`, 1))
	list, _ := programs(t, newPlugin(t, "    directories: ["+dir+"]\n    ignore-stages: [poststop]"), container())
	require.Len(t, list, 1, "once, and nothing of the other file")
	assert.Equal(t, filepath.Join(dir, "a.json"), list[0].Name)
}

func TestAProgramThatIsNotThere(t *testing.T) {
	dir := t.TempDir()
	script := write(t, dir, "script", "#!/bin/sh") // which nobody may run
	for path, want := range map[string]string{"/no/such": "no such file", script: "is not an executable file", dir: "is not an executable file"} {
		c, decoded, err := load(t, "    hooks: [{when: {name: web-*}, path: "+path+"}]")
		require.NoError(t, err)
		assert.ErrorContains(t, ocihooks.Module.Check(c), "plugins.ocihooks.hooks[0]: ")
		p, err := ocihooks.New(decoded)
		require.NoError(t, err)
		_, _, err = p.PreStart(t.Context(), container())
		assert.ErrorContains(t, err, "plugins.ocihooks.hooks[0]: ")
		assert.ErrorContains(t, err, want)
		other := container()
		other.Name = "db"
		_, _, err = p.PreStart(t.Context(), other)
		assert.NoError(t, err, "of a container that it is not for")

		write(t, dir, "a.json", hookFile(path, `"always": true`))
		c, _, err = load(t, "    directories: ["+dir+"]")
		require.NoError(t, err)
		assert.ErrorContains(t, ocihooks.Module.Check(c), want)
	}
}

func TestMistakesAreToldWithTheirLine(t *testing.T) {
	for section, want := range map[string]string{
		"    hooks:\n      - path: true.sh":         `:4: plugins.ocihooks.hooks[0]: path "true.sh": must be absolute`,
		"    hooks:\n      - when: {}":              `:4: plugins.ocihooks.hooks[0]: it has no path`,
		"    hooks: [{path: /x, timeout: 2m}]":      `:3: plugins.ocihooks.hooks[0]: timeout 2m0s: a runtime hook may take up to 1m0s`,
		"    hooks: [{path: /x, env: [A]}]":         `env "A": write NAME=value`,
		"    hooks: [{path: /x, when: {name: ''}}]": `the pattern is empty`,
		"    directories: [hooks.d]":                `directory "hooks.d": must be an absolute path`,
		"    ignore-stages: [prestart]":             `ignore-stages "prestart": use createContainer, startContainer, poststart, poststop, precreate`,
		"    stages: [prestart]":                    `unknown key "stages"`,
	} {
		_, _, err := load(t, section)
		assert.ErrorContains(t, err, want)
	}
}

func FuzzFile(f *testing.F) {
	f.Add([]byte(hookFile("/bin/true", `"always": true, "commands": ["a"], "annotations": {"b": "c"}, "hasBindMounts": true`)))
	f.Add([]byte(`{"version": "1.0.0", "hook": {"path": "/x", "timeout": 9223372036854775807}}`))
	f.Add([]byte("{\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		dir := t.TempDir()
		write(t, dir, "a.json", string(text))
		p, err := ocihooks.New(ocihooks.Config{Directories: []string{dir}})
		require.NoError(t, err)
		priorities, args, err := p.PreStart(t.Context(), container())
		if err != nil {
			assert.NotEmpty(t, err.Error())
			return
		}
		require.Len(t, args, len(priorities))
	})
}

func BenchmarkPreStart(b *testing.B) {
	dir := b.TempDir()
	write(b, dir, "10-systemd.json", hookFile("/bin/true", `"commands": [".*/init$", ".*/systemd$"]`))
	write(b, dir, "20-umount.json", hookFile("/bin/true", `"hasBindMounts": true`))
	write(b, dir, "30-nvidia.json", hookFile("/bin/true", `"annotations": {"^com\\.example\\.department$": ".*fluid-dynamics$"}`))
	past := time.Now().Add(-time.Hour)
	require.NoError(b, os.Chtimes(dir, past, past))
	p := newPlugin(b, "    directories: [/usr/share/containers/oci/hooks.d, "+dir+"]\n    hooks: [{when: {labels: {tier: front}}, path: /bin/true}]")
	c := container()
	b.ReportAllocs()
	for b.Loop() {
		if _, args, err := p.PreStart(b.Context(), c); err != nil || len(args) != 2 {
			b.Fatal(err, args)
		}
	}
}
