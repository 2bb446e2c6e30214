package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// nriDaemon starts a daemon that NRI plugins can register with, and returns
// what starts one and waits until it takes part. The folder is the plugin's.
func nriDaemon(t *testing.T) (d *daemon, connect func() *exec.Cmd, folder string) {
	t.Helper()
	folder = t.TempDir()
	program := filepath.Join(folder, "nriplugin")
	cmd := exec.Command("go", "build", "-o", program, "./nriplugin")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	out, err := combinedOutputOutside(cmd)
	require.NoError(t, err, "%s", out)
	require.NoError(t, os.WriteFile(filepath.Join(folder, "hook"), []byte(
		"#!/bin/sh\necho \"$0 $1\" > "+folder+"/hooked\ncat > "+folder+"/state\n"), 0o755))

	socket, config := filepath.Join(folder, "nri.sock"), filepath.Join(folder, "config.yaml")
	require.NoError(t, os.WriteFile(config, fmt.Appendf(nil,
		"plugins:\n  nri:\n    socket: %s\n    required: [obliging]\n    hooks: [%q]\n", socket, folder+"/hook"), 0o600))
	d = ownDaemon(t, built.daemon, embedded, "--config-file", config)
	d.load(t, "box")
	return d, func() *exec.Cmd {
		plugin := exec.Command(program, socket, folder)
		plugin.Stderr = d.log
		require.NoError(t, plugin.Start())
		t.Cleanup(func() {
			plugin.Process.Kill()
			plugin.Wait()
		})
		require.NoError(t, waitFor(30*time.Second, func() bool {
			res, err := d.client.ContainerCreate(testContext(t), client.ContainerCreateOptions{Config: &container.Config{Image: "box", Cmd: []string{"true"}}})
			if err == nil {
				_, err = d.client.ContainerRemove(testContext(t), res.ID, client.ContainerRemoveOptions{})
			}
			return err == nil
		}))
		return plugin
	}, folder
}

func wantsOfNRI(what string) spec {
	return config(func(c *container.Config) { c.Labels = map[string]string{"nri": what} })
}

func TestNRIPluginsActOnContainers(t *testing.T) {
	d, connect, folder := nriDaemon(t)
	_, err := d.client.ContainerCreate(testContext(t), client.ContainerCreateOptions{Config: &container.Config{Image: "box", Cmd: []string{"true"}}})
	require.ErrorContains(t, err, `plugin "nri": PreCreate: NRI plugin "obliging" is required and takes no part: start it`)
	connect()

	r := d.run(t, "echo $FROM_NRI; ls /from-nri/hook; ls /dev/nri; ulimit -n; cat /proc/self/limits", named("web"), wantsOfNRI("adjust"))
	assert.Contains(t, r.stdout, "web\n/from-nri/hook\n/dev/nri\n", r.stderr)
	assert.Regexp(t, `Max open files +333 +333`, r.stdout)
	inspected, err := d.client.ContainerInspect(testContext(t), "web", client.ContainerInspectOptions{})
	require.NoError(t, err)
	assert.EqualValues(t, 77, *inspected.Container.HostConfig.PidsLimit)
	explained, err := exec.Command(built.daemon, "explain", "web", "-H", "unix://"+d.socket).CombinedOutput()
	require.NoError(t, err, "%s", explained)
	assert.Contains(t, string(explained), "FROM_NRI=web", "it is told like what any plugin changes")
	assert.Contains(t, string(explained), "nri")
	started, err := os.ReadFile(filepath.Join(folder, "started"))
	require.NoError(t, err)
	assert.Equal(t, inspected.Container.ID, string(started))
	hooked, err := os.ReadFile(filepath.Join(folder, "hooked"))
	require.NoError(t, err)
	assert.Equal(t, folder+"/hook argument\n", string(hooked))
	state, err := os.ReadFile(filepath.Join(folder, "state"))
	require.NoError(t, err)
	assert.Contains(t, string(state), inspected.Container.ID, "the hook gets the container's state")
}

func TestNRIPluginsThatFailFailTheCreate(t *testing.T) {
	d, connect, _ := nriDaemon(t)
	for what, want := range map[string]string{
		"cgroup": `NRI plugin "10-obliging" asks for linux.cgroupsPath, which a container of Docker's API cannot have`,
		"hang":   `NRI plugin "10-obliging": CreateContainer: it does not answer and was disconnected: restart it`,
		"die":    `NRI plugin "obliging" is required and takes no part: start it`,
	} {
		plugin := connect()
		begin := time.Now()
		_, err := d.client.ContainerCreate(testContext(t), client.ContainerCreateOptions{
			Name: "web", Config: &container.Config{Image: "box", Labels: map[string]string{"nri": what}},
		})
		require.ErrorContains(t, err, want)
		assert.Less(t, time.Since(begin), 10*time.Second)
		plugin.Process.Kill()
		plugin.Wait()
	}
	listed, err := d.client.ContainerList(testContext(t), client.ContainerListOptions{All: true})
	require.NoError(t, err)
	assert.Empty(t, listed.Items, "nothing is left")
}
