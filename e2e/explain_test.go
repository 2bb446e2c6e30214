package e2e

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	runtime "k8s.io/cri-api/pkg/apis/runtime/v1"

	"github.com/pouchfx/pouchfx/modules/admin"
)

// ours runs the command demo-daemon against a daemon.
func (d *daemon) ours(t *testing.T, args ...string) (stdout, stderr string, status int) {
	t.Helper()
	return oursAt(t, d.socket, args...)
}

func oursAt(t *testing.T, socket string, args ...string) (stdout, stderr string, status int) {
	t.Helper()
	cmd := exec.CommandContext(testContext(t), built.daemon, append(args, "-H", "unix://"+socket)...)
	var out, errs strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); cmd.ProcessState == nil {
		require.NoError(t, err)
	}
	return out.String(), errs.String(), cmd.ProcessState.ExitCode()
}

func (d *daemon) explain(t *testing.T, name string) string {
	t.Helper()
	out, errs, status := d.ours(t, "explain", name)
	require.Zero(t, status, errs)
	return out
}

func calls(t *testing.T, record, hook string) (plugins []string) {
	t.Helper()
	text, err := os.ReadFile(record)
	require.NoError(t, err)
	for line := range strings.Lines(string(text)) {
		if plugin, ok := strings.CutSuffix(strings.TrimSpace(line), " "+hook); ok {
			plugins = append(plugins, plugin)
		}
	}
	return plugins
}

func TestWhoChangedAContainerIsTold(t *testing.T) {
	onEngines(t, func(t *testing.T, e engine) {
		t.Setenv("E2E_SECRET", "correct-horse")
		d, _ := pluginDaemon(t, e, twoPlugins+"log-level: debug\n")
		d.load(t, "box")
		secret := config(func(c *container.Config) {
			c.Labels, c.Env = map[string]string{"shared-secret": "yes"}, []string{"SECRET=battery-staple"}
		})
		id := d.create(t, "sleep 1000", named("web"), secret)
		d.startContainer(t, id)
		told := d.explain(t, "web")
		for _, want := range []string{
			"  moody PreCreate ", "  second PreCreate ", `"SEEN_BY_MOODY=1"`,
			"moody-correct-horse", "battery-staple", // those who may ask may inspect
			"conflict: /Env/SECRET was written by moody",
			"  moody PreStart ", `+ /Annotations/moody: "moody"`,
			"conflict: /Annotations/moody was written by moody",
		} {
			assert.Contains(t, told, want)
		}
		d.client.ContainerUpdate(testContext(t), id, client.ContainerUpdateOptions{Resources: &container.Resources{CPUShares: 512}})

		res, err := d.client.ContainerInspect(testContext(t), id, client.ContainerInspectOptions{})
		require.NoError(t, err)
		var raw struct {
			Pouchfx struct {
				Explain struct {
					Create, Start []struct{ Plugin, Hook string }
				}
			}
		}
		require.NoError(t, json.Unmarshal(res.Raw, &raw))
		assert.Equal(t, "moody", raw.Pouchfx.Explain.Create[0].Plugin)
		assert.Equal(t, "PreStart", raw.Pouchfx.Explain.Start[0].Hook)

		assert.Contains(t, d.log.String(), "two plugins write one field")
		assert.NotContains(t, d.log.String(), "correct-horse", "values of variables are not for the log")
		assert.NotContains(t, d.log.String(), "battery-staple")

		t.Run("for the docker command", func(t *testing.T) {
			docker := dockerCLI(t, d)
			docker.ok("create", "--name", "cli", "-v", "data:/data", "box", "true")
			told := d.explain(t, "cli")
			assert.Contains(t, told, `"SEEN_BY_MOODY=1"`)
			assert.Contains(t, told, "moody PreVolumeCreate of data ")
			assert.Contains(t, docker.ok("inspect", "cli"), `"Pouchfx": {`)
			docker.ok("volume", "create", "alone")
			assert.Contains(t, docker.ok("volume", "inspect", "alone"), `"PreVolumeCreate"`)
		})
		t.Run("by the next daemon, too", func(t *testing.T) {
			d.cmd.Process.Kill()
			<-d.exited
			require.NoError(t, d.start())
			assert.Equal(t, told, d.explain(t, id))
		})
		_, errs, status := d.ours(t, "explain", "nosuch")
		assert.Equal(t, 1, status)
		assert.Equal(t, "demo-daemon: No such container: nosuch\n", errs)
	})
}

func TestADryRunMakesNothing(t *testing.T) {
	d, record := pluginDaemon(t, embedded, twoPlugins)
	d.load(t, "box")
	file := filepath.Join(t.TempDir(), "create.json")
	try := func(body string) (string, string, int) {
		require.NoError(t, os.WriteFile(file, []byte(body), 0o600))
		return d.ours(t, "explain", "-f", file, "--name", "web")
	}
	out, errs, status := try(`{"Image":"box","Cmd":["true"],"HostConfig":{"Binds":["data:/data"]}}`)
	require.Zero(t, status, errs)
	assert.Contains(t, out, `"SEEN_BY_SECOND=1"`)
	assert.Equal(t, []string{"second", "moody"}, calls(t, record, "UndoPreCreate"))

	out, errs, status = try(`{"Image":"nosuch"}`)
	assert.Equal(t, 1, status)
	assert.Contains(t, errs, "it would not be made: No such image: nosuch")
	assert.Contains(t, out, `"SEEN_BY_SECOND=1"`)
	_, errs, status = try(`{"Image":"box","Labels":{"moody":"PreCreate:error"}}`)
	assert.Equal(t, 1, status)
	assert.Contains(t, errs, `plugin "moody": PreCreate: moody today`)

	containers, err := d.client.ContainerList(testContext(t), client.ContainerListOptions{All: true})
	require.NoError(t, err)
	assert.Empty(t, containers.Items)
	volumes, err := d.client.VolumeList(testContext(t), client.VolumeListOptions{})
	require.NoError(t, err)
	assert.Empty(t, volumes.Items)
}

func TestACreateThatFailsLateIsUndoneInReverse(t *testing.T) {
	d, record := pluginDaemon(t, embedded, twoPlugins)
	d.load(t, "box")
	create := func(undo string) error {
		_, err := d.client.ContainerCreate(testContext(t), client.ContainerCreateOptions{
			Config:     &container.Config{Image: "box", Cmd: []string{"true"}, Labels: map[string]string{"moody": undo}},
			HostConfig: &container.HostConfig{Binds: []string{"data:/data"}, VolumeDriver: "nosuch"},
		})
		return err
	}
	require.ErrorContains(t, create(""), "nosuch")
	assert.Equal(t, []string{"second", "moody"}, calls(t, record, "UndoPreCreate"))
	for mood, why := range map[string]string{"error": "moody today", "panic": "moody panics", "hang": "400ms"} {
		err := create("UndoPreCreate:" + mood)
		assert.ErrorContains(t, err, "nosuch", "what failed comes first")
		assert.ErrorContains(t, err, `plugin "moody": UndoPreCreate: `)
		assert.ErrorContains(t, err, why)
		assert.ErrorContains(t, err, "may be left behind")
	}
	assert.Contains(t, d.log.String(), "cannot undo")
}

func TestAConflictIsRefusedWhereThatIsAskedFor(t *testing.T) {
	d, record := pluginDaemon(t, embedded, twoPlugins+"conflicts: {PreCreate: error}\n")
	d.load(t, "box")
	_, err := d.client.ContainerCreate(testContext(t), client.ContainerCreateOptions{
		Config: &container.Config{Image: "box", Labels: map[string]string{"shared-secret": "yes"}},
	})
	assert.True(t, errdefs.IsConflict(err), "%v", err)
	assert.ErrorContains(t, err, `plugin "second": PreCreate: it writes /Env/SECRET, which plugin "moody" has written`)
	assert.Equal(t, []string{"second", "moody"}, calls(t, record, "UndoPreCreate"))

	d, _ = pluginDaemon(t, embedded, strings.Replace(twoPlugins, "second:\n    policy: {", "second:\n    policy: {after: [moody], ", 1)+"conflicts: {PreCreate: error}\n")
	d.load(t, "box")
	id := d.create(t, "true", config(func(c *container.Config) { c.Labels = map[string]string{"shared-secret": "yes"} }))
	assert.NotContains(t, d.explain(t, id), "conflict", "who comes after by name may overwrite")
	out, _, _ := d.ours(t, "plugins")
	assert.Regexp(t, `second .* after moody `, out)
}

func TestABreakerOpensInTheMiddleOfAStorm(t *testing.T) {
	d, record := pluginDaemon(t, embedded, strings.Replace(twoPlugins, "priority: 10", "priority: 10, onError: ignore, breaker: {failures: 3, cooldown: 1h}", 1))
	d.load(t, "box")
	const storm, atOnce = 60, 6
	ids := make(chan string, storm)
	var clients sync.WaitGroup
	for range atOnce {
		clients.Go(func() {
			for range storm / atOnce {
				res, err := d.client.ContainerCreate(testContext(t), client.ContainerCreateOptions{Config: &container.Config{
					Image: "box", Cmd: []string{"true"}, Labels: map[string]string{"moody": "PreCreate:error"},
				}})
				if assert.NoError(t, err) {
					ids <- res.ID
				}
			}
		})
	}
	clients.Wait()
	close(ids)
	skipped := 0
	for id := range ids {
		told := d.explain(t, id)
		assert.Contains(t, told, `"SEEN_BY_SECOND=1"`, "the others go on")
		assert.NotContains(t, told, "SEEN_BY_MOODY")
		if strings.Contains(told, "skipped until") {
			skipped++
		}
	}
	called := calls(t, record, "PreCreate")
	moody := len(called) - storm
	assert.GreaterOrEqual(t, moody, 3)
	assert.LessOrEqual(t, moody, 3+atOnce, "those that were on their way")
	assert.Equal(t, storm-moody, skipped, "each says whether it was called")
	out, _, _ := d.ours(t, "plugins")
	assert.Regexp(t, `moody .* skipped until .*: it kept failing`, out)
	assert.Contains(t, d.log.String(), "plugin keeps failing")
}

func TestWhoChangedAPodsContainerIsTold(t *testing.T) {
	k := newKubelet(t)
	pod, config := k.pod(t, "explained")
	create := func(labels map[string]string, image string) (string, error) {
		r, err := k.CreateContainer(testContext(t), &runtime.CreateContainerRequest{
			PodSandboxId: pod, SandboxConfig: config, Config: &runtime.ContainerConfig{
				Metadata: &runtime.ContainerMetadata{Name: "main"}, Image: &runtime.ImageSpec{Image: image},
				Command: []string{"sleep", "1000"}, Labels: labels, LogPath: "main.log", Linux: &runtime.LinuxContainerConfig{},
			},
		})
		return r.GetContainerId(), err
	}
	_, err := create(map[string]string{"moody": "UndoPreCreate:error"}, "nosuch")
	assert.ErrorContains(t, err, `plugin "moody": UndoPreCreate: moody today: permission denied: what its PreCreate did may be left behind`)

	id, err := create(nil, k.image)
	require.NoError(t, err)
	_, err = k.StartContainer(testContext(t), &runtime.StartContainerRequest{ContainerId: id})
	require.NoError(t, err)
	for socket, name := range map[string]string{k.d.socket: id, filepath.Join(k.d.root, "x", admin.SocketName): id[:13]} {
		told, errs, status := oursAt(t, socket, "explain", name)
		require.Zero(t, status, errs)
		assert.Contains(t, told, "moody PreCreate ")
		assert.Contains(t, told, `"SEEN_BY_SECOND=1"`)
		assert.Contains(t, told, `+ /Annotations/moody: "moody"`)
	}
}
