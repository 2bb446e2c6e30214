package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	runtime "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// hooksDir is a hooks.d directory with scripts for its hooks.
type hooksDir struct {
	t   *testing.T
	dir string
}

// add makes a file of hooks.d whose hook is a shell script; D is the directory.
func (h hooksDir) add(name, when, script, more string) (file string) {
	h.t.Helper()
	program := filepath.Join(h.dir, strings.TrimSuffix(name, ".json")+".sh")
	script = strings.ReplaceAll(script, "D/", h.dir+"/")
	require.NoError(h.t, os.WriteFile(program, []byte("#!/bin/sh\n"+script+"\n"), 0o700))
	file = filepath.Join(h.dir, name)
	text := fmt.Sprintf(`{"version": "1.0.0", "hook": {"path": %q%s}, "when": {%s}, "stages": ["prestart"]}`, program, more, when)
	require.NoError(h.t, os.WriteFile(file, []byte(text), 0o600))
	return file
}

func (h hooksDir) read(name string) string {
	h.t.Helper()
	text, err := os.ReadFile(filepath.Join(h.dir, name))
	require.NoError(h.t, err)
	return string(text)
}

// interfaces tells which the container has, by the state that a hook gets.
const interfaces = `pid=$(sed -n 's/.*"pid":\([0-9]*\).*/\1/p'); echo $(sed -n 's/^ *\([a-z0-9]*\):.*/\1/p' /proc/$pid/net/dev | sort)`

func TestHooksOfDirectoriesAndOfTheConfiguration(t *testing.T) {
	onEngines(t, func(t *testing.T, e engine) {
		h := hooksDir{t, t.TempDir()}
		d := configured(t, e, fmt.Sprintf(`
plugins:
  ocihooks:
    directories: [%s]
    hooks:
      - when: {labels: {watched: "yes"}}
        path: /bin/sh
        args: [sh, -c, %q]
        priority: 5
`, h.dir, "{ "+interfaces+"; } > "+h.dir+"/before"))
		require.NoError(t, d.start())
		d.load(t, "box")
		h.add("10-all.json", `"always": true`, `{ `+interfaces+`; } > D/after; echo "$GREETING $HOME" > D/env`, `, "env": ["GREETING=good day"], "timeout": 20`)
		h.add("20-mounts.json", `"hasBindMounts": true`, `echo yes > D/mounts`, "")
		h.add("30-never.json", `"annotations": {"^com.example$": "^1$"}`, `echo yes > D/annotated`, "")
		bind := host(func(c *container.HostConfig) { c.Binds = []string{h.dir + ":/hooks:ro"} })
		watched := config(func(c *container.Config) { c.Labels = map[string]string{"watched": "yes"} })

		r := d.run(t, "cat /hooks/before /hooks/after /hooks/env /hooks/mounts", network("bridge"), bind, watched)
		assert.Equal(t, "lo\neth0 lo\ngood day \nyes\n", r.stdout, "they run before the container's process, by their priority to the network; %s", r.stderr)
		assert.NoFileExists(t, filepath.Join(h.dir, "annotated"))
		require.NoError(t, os.Remove(filepath.Join(h.dir, "before")))

		annotated := host(func(c *container.HostConfig) { c.Annotations = map[string]string{"com.example": "1"} })
		require.Zero(t, d.run(t, "true", annotated).code)
		assert.Equal(t, "yes\n", h.read("annotated"))
		assert.NoFileExists(t, filepath.Join(h.dir, "before"), "it is for those with the label")
	})
}

func TestAHookThatFailsIsNamedToTheClient(t *testing.T) {
	onEngines(t, func(t *testing.T, e engine) {
		h := hooksDir{t, t.TempDir()}
		d := configured(t, e, fmt.Sprintf("plugins:\n  ocihooks:\n    directories: [%s]\n    hooks: [{when: {name: told}, path: /bin/false}]\n", h.dir))
		require.NoError(t, d.start())
		d.load(t, "box")
		start := func(id string) error {
			_, err := d.client.ContainerStart(testContext(t), id, client.ContainerStartOptions{})
			return err
		}
		id := d.create(t, "sleep 1000")
		for about, c := range map[string]struct{ script, more, want string }{
			"fails":          {"echo no device >&2; exit 3", "", ".sh: exit status 3"},
			"takes too long": {"echo no device >&2; sleep 1000", `, "timeout": 1`, ".sh did not end within 1s"},
		} {
			file := h.add("10-gpu.json", `"always": true`, c.script, c.more)
			begun := time.Now()
			err := start(id)
			require.Error(t, err, about)
			assert.Less(t, time.Since(begun), 20*time.Second, about)
			assert.ErrorContains(t, err, "no device", "what it said")
			assert.ErrorContains(t, err, "runtime hook "+file+": "+strings.TrimSuffix(file, ".json")+c.want)
			assert.False(t, d.inspect(t, id).State.Running, about)
		}
		require.NoError(t, os.Remove(filepath.Join(h.dir, "10-gpu.json")))
		require.NoError(t, start(id), "it is read at each start")
		told := d.create(t, "true", named("told"))
		assert.ErrorContains(t, start(told), "runtime hook plugins.ocihooks.hooks[0]: /bin/false: exit status 1")

		file := filepath.Join(h.dir, "20-broken.json")
		require.NoError(t, os.WriteFile(file, []byte("{\n  \"version\": \"1.0.0\",\n}"), 0o600))
		other := d.create(t, "true")
		assert.ErrorContains(t, start(other), `plugin "ocihooks": PreStart: `+file+": line 3: ")
		require.NoError(t, os.WriteFile(file, []byte(`{"version": "1.0.0", "hook": {"path": "/bin/true"}, "when": {"always": true}, "stages": ["poststop"]}`), 0o600))
		assert.ErrorContains(t, start(other), file+`: stages: "poststop": `)
		require.NoError(t, os.Remove(file))
		require.NoError(t, start(other))
	})
}

func TestCheckFindsHooksThatCannotRun(t *testing.T) {
	h := hooksDir{t, t.TempDir()}
	file := filepath.Join(t.TempDir(), "config.yaml")
	require.NoError(t, os.WriteFile(file, []byte("plugins: {ocihooks: {directories: ["+h.dir+"]}}\n"), 0o600))
	check := func() (string, error) {
		out, err := exec.CommandContext(testContext(t), built.daemon, "check", "--config-file", file).CombinedOutput()
		return string(out), err
	}
	h.add("10-fine.json", `"always": true`, "true", "")
	out, err := check()
	require.NoError(t, err, out)
	assert.Contains(t, out, "ocihooks")
	broken := h.add("20-broken.json", `"alway": true`, "true", "")
	out, err = check()
	require.Error(t, err)
	assert.Contains(t, out, `plugin "ocihooks": `+broken+": when: it gives none of always, annotations, commands and hasBindMounts")
}

func TestHooksOfDirectoriesActOnPods(t *testing.T) {
	h, socket := hooksDir{t, t.TempDir()}, filepath.Join(t.TempDir(), "cri.sock")
	d := configured(t, embedded, `
cri: {cgroup-driver: cgroupfs, cni-conf-dir: `+t.TempDir()+`}
cri-host: unix://`+socket+`
plugins: {ocihooks: {directories: [`+h.dir+`]}}
`)
	require.NoError(t, d.start())
	k := kubeletOn(t, d, socket)
	pod, config := k.pod(t, "hooked")
	start := func(name string) error {
		c := &runtime.ContainerConfig{Metadata: &runtime.ContainerMetadata{Name: name}, Image: &runtime.ImageSpec{Image: k.image}, Command: []string{"sleep", "1000"}}
		r, err := k.CreateContainer(testContext(t), &runtime.CreateContainerRequest{PodSandboxId: pod, SandboxConfig: config, Config: c})
		require.NoError(t, err)
		_, err = k.StartContainer(testContext(t), &runtime.StartContainerRequest{ContainerId: r.ContainerId})
		return err
	}
	h.add("10-a.json", `"commands": ["^sleep$"]`, `echo "$GREETING" > D/ran`, `, "env": ["GREETING=hello"]`)
	require.NoError(t, start("one"))
	assert.Equal(t, "hello\n", h.read("ran"))
	file := h.add("10-a.json", `"commands": ["^sleep$"]`, `echo no device >&2; exit 3`, "")
	err := start("two")
	assert.ErrorContains(t, err, "no device")
	assert.ErrorContains(t, err, "runtime hook "+file+": ")
}
