package e2e

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/docker/go-units"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// The daemon with two plugins of all kinds, "moody" and "second", that do in
// each hook what a test asks for.
func pluginDaemon(t *testing.T, e engine, config string) (*daemon, string) {
	t.Helper()
	dir := t.TempDir()
	record, file := filepath.Join(dir, "record"), filepath.Join(dir, "config.yaml")
	config = strings.ReplaceAll(config, "RECORD", record)
	require.NoError(t, os.WriteFile(file, []byte(config), 0o600))
	return ownDaemon(t, built.pluginDaemon, e, "--config-file", file), record
}

const twoPlugins = `
plugins:
  moody:
    policy: {timeout: 400ms, priority: 10}
    record: RECORD
  second:
    policy: {timeout: 400ms}
    record: RECORD
`

func TestHooksOfAMisbehavingPlugin(t *testing.T) {
	d, _ := pluginDaemon(t, embedded, twoPlugins)
	d.load(t, "box")
	img, err := boxImage()
	require.NoError(t, err)
	registry := loopbackRegistry(t)
	label := func(hook, mood string) spec {
		return config(func(c *container.Config) { c.Labels = map[string]string{"moody": hook + ":" + mood} })
	}
	create := func(s ...spec) (string, error) {
		o := client.ContainerCreateOptions{
			Config: &container.Config{Image: "box", Cmd: []string{"sleep", "1000"}}, HostConfig: &container.HostConfig{NetworkMode: "none"},
		}
		for _, f := range s {
			f(&o)
		}
		res, err := d.client.ContainerCreate(testContext(t), o)
		return res.ID, err
	}
	hooks := map[string]func(t *testing.T, mood string) error{
		"PreCreate": func(t *testing.T, mood string) error {
			_, err := create(label("PreCreate", mood))
			return err
		},
		"PreStart": func(t *testing.T, mood string) error {
			id := d.create(t, "true", label("PreStart", mood))
			_, err := d.client.ContainerStart(testContext(t), id, client.ContainerStartOptions{})
			assert.Equal(t, container.StateCreated, d.inspect(t, id).State.Status, "a start that a plugin refuses leaves the state")
			return err
		},
		"PreCreateEndpoint": func(t *testing.T, mood string) error {
			id := d.create(t, "true", network("bridge"), endpointMood("bridge", "mood="+mood))
			_, err := d.client.ContainerStart(testContext(t), id, client.ContainerStartOptions{})
			assert.Equal(t, container.StateCreated, d.inspect(t, id).State.Status, "the start is rolled back")
			return err
		},
		"PreUpdate": func(t *testing.T, mood string) error {
			id := d.create(t, "true", named("preupdate-"+mood))
			_, err := d.client.ContainerUpdate(testContext(t), id, client.ContainerUpdateOptions{Resources: &container.Resources{Memory: 32 * units.MiB}})
			assert.Zero(t, d.inspect(t, id).HostConfig.Memory, "nothing changed")
			return err
		},
		"PostUpdate": func(t *testing.T, mood string) error {
			if mood == "nil" || mood == "garbage" {
				return nil // it returns nothing but an error
			}
			id := d.create(t, "true", named("postupdate-"+mood))
			_, err := d.client.ContainerUpdate(testContext(t), id, client.ContainerUpdateOptions{Resources: &container.Resources{Memory: 32 * units.MiB}})
			assert.EqualValues(t, 32*units.MiB, d.inspect(t, id).HostConfig.Memory, "the update stays")
			return err
		},
		"PostPull": func(t *testing.T, mood string) error {
			if mood == "nil" || mood == "garbage" {
				return nil
			}
			ref := push(t, registry, "moody-"+mood+":1", img)
			_, err := d.pull(ref, client.ImagePullOptions{})
			_, inspectErr := d.client.ImageInspect(testContext(t), ref)
			assert.Error(t, inspectErr, "the name does not stay")
			return err
		},
		"PreVolumeCreate": func(t *testing.T, mood string) error {
			if mood == "nil" {
				return nil
			}
			_, err := d.client.VolumeCreate(testContext(t), client.VolumeCreateOptions{Labels: map[string]string{"moody": "PreVolumeCreate:" + mood}})
			return err
		},
	}
	for hook, call := range hooks {
		for mood, text := range map[string]string{
			"error": "moody today", "panic": "moody panics", "hang": "400ms", "nil": "", "garbage": "",
		} {
			t.Run(hook+" "+mood, func(t *testing.T) {
				err := call(t, mood)
				if err == nil && (mood == "nil" || mood == "garbage") {
					switch hook {
					case "PostUpdate", "PostPull", "PreVolumeCreate":
						return
					}
				}
				require.Error(t, err)
				assert.ErrorContains(t, err, text)
				if mood == "error" || mood == "panic" || mood == "hang" {
					assert.ErrorContains(t, err, fmt.Sprintf("plugin %q: %s: ", "moody", hook))
				}
			})
		}
	}

	// All that happened has changed nothing for others.
	list, err := d.client.VolumeList(testContext(t), client.VolumeListOptions{})
	require.NoError(t, err)
	assert.Empty(t, list.Items)
	id := d.create(t, "env")
	d.startContainer(t, id)
	d.wait(t, id)
	out := d.logs(t, id, client.ContainerLogsOptions{}).stdout
	for _, want := range []string{"SEEN_BY_MOODY=1", "SEEN_BY_SECOND=1", "STARTED_BY_MOODY=1", "STARTED_BY_SECOND=1"} {
		assert.Contains(t, out, want)
	}
	assert.NotContains(t, out, "LATE")
	assert.NotContains(t, strings.Join(d.inspect(t, id).Config.Env, " "), "STARTED_BY", "what PreStart changes does not pile up")
}

func TestIgnoredErrorsDropWhatThePluginChanged(t *testing.T) {
	d, _ := pluginDaemon(t, embedded, strings.Replace(twoPlugins, "priority: 10", "priority: 10, onError: ignore", 1))
	d.load(t, "box")
	for _, mood := range []string{"error", "panic", "hang", "nil"} {
		r := d.run(t, "env", config(func(c *container.Config) { c.Labels = map[string]string{"moody": "PreCreate:" + mood} }))
		assert.Contains(t, r.stdout, "SEEN_BY_SECOND=1", mood)
		assert.NotContains(t, r.stdout, "SEEN_BY_MOODY=1", mood)
	}
}

func TestRuntimeHooksRunInTheRuntimesNamespaceBeforeTheProcess(t *testing.T) {
	onEngines(t, func(t *testing.T, e engine) {
		dir := t.TempDir()
		hook := func(name string) string {
			script := fmt.Sprintf("cat > %s/%s.state; echo %s >> %s/order; env > %s/%s.env", dir, name, name, dir, dir, name)
			return fmt.Sprintf("[%q, sh, -c, %q]", built.box, script)
		}
		t.Setenv("E2E_SECRET", "leaked")
		d, _ := pluginDaemon(t, e, fmt.Sprintf(`
plugins:
  moody:
    hooks: [{priority: -10, args: %s}]
  second:
    hooks: [{priority: 10, args: %s}]
`, hook("after"), hook("before")))
		d.load(t, "box")
		r := d.run(t, "cat "+dir+"/order", host(func(h *container.HostConfig) { h.Binds = []string{dir + ":" + dir} }))
		assert.Equal(t, "before\nafter\n", r.stdout, r.stderr)
		state, err := os.ReadFile(filepath.Join(dir, "before.state"))
		require.NoError(t, err)
		assert.Contains(t, string(state), `"pid"`)
		env, err := os.ReadFile(filepath.Join(dir, "before.env"))
		require.NoError(t, err)
		assert.NotContains(t, string(env), "leaked")
	})
}

func TestPostUpdateGetsTheRootfsOfAStoppedContainer(t *testing.T) {
	onEngines(t, func(t *testing.T, e engine) {
		d, _ := pluginDaemon(t, e, twoPlugins)
		d.load(t, "box")
		id := d.create(t, "cat /tmp/updated", config(func(c *container.Config) { c.Env = []string{"X=y"} }))
		_, err := d.client.ContainerUpdate(testContext(t), id, client.ContainerUpdateOptions{Resources: &container.Resources{Memory: 64 * units.MiB}})
		require.NoError(t, err)
		d.startContainer(t, id)
		d.wait(t, id)
		out := d.logs(t, id, client.ContainerLogsOptions{}).stdout
		assert.Contains(t, out, "X=y")
		assert.Contains(t, out, "FROM_IMAGE=yes")
	})
}

func TestDaemonHooksRunInOrderAndBackwards(t *testing.T) {
	d, record := pluginDaemon(t, embedded, twoPlugins)
	d.signal(syscall.SIGTERM)
	b, err := os.ReadFile(record)
	require.NoError(t, err)
	assert.Equal(t, "moody New\nsecond New\nmoody PreStartHook\nsecond PreStartHook\nmoody UpdateHandler\nsecond UpdateHandler\nsecond PreStopHook\nmoody PreStopHook\n", string(b))
}

func TestFailedStartsAreUndone(t *testing.T) {
	for _, tc := range []struct{ name, moods, want, record string }{
		{"PreStartHook error", "{PreStartHook: error}", `plugin "second": PreStartHook: moody today`, "moody PreStartHook\nsecond PreStartHook\nsecond PreStopHook\nmoody PreStopHook\n"},
		{"PreStartHook panic", "{PreStartHook: panic}", "moody panics", "moody PreStartHook\nsecond PreStartHook\nsecond PreStopHook\nmoody PreStopHook\n"},
		{"PreStartHook hang", "{PreStartHook: hang}", "400ms", "moody PreStartHook\nsecond PreStartHook\nsecond PreStopHook\nmoody PreStopHook\n"},
		{"UpdateHandler nil", "{UpdateHandler: nil}", `plugin "second": UpdateHandler:`, "second PreStopHook\nmoody PreStopHook\n"},
		{"UpdateHandler duplicate", "{UpdateHandler: garbage}", `/version`, "second PreStopHook\nmoody PreStopHook\n"},
		{"UpdateHandler panic", "{UpdateHandler: panic}", "moody panics", "second PreStopHook\nmoody PreStopHook\n"},
		{"constructor error", "{New: error}", `plugin "second"`, ""},
		{"constructor panic", "{New: panic}", "moody panics", ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			dir := t.TempDir()
			record, file := filepath.Join(dir, "record"), filepath.Join(dir, "config.yaml")
			text := strings.ReplaceAll(twoPlugins, "RECORD", record) + "    moods: " + tc.moods + "\n"
			text = strings.ReplaceAll(text, ": nil}", ": \"nil\"}")
			require.NoError(t, os.WriteFile(file, []byte(text), 0o600))
			d, err := newDaemon(built.pluginDaemon, embedded, "--config-file", file)
			require.NoError(t, err)
			defer d.remove()
			err = d.start()
			require.Error(t, err)
			assert.Contains(t, strings.ReplaceAll(d.log.String(), `\"`, `"`), tc.want)
			assert.Equal(t, 1, d.cmd.ProcessState.ExitCode())
			b, _ := os.ReadFile(record)
			assert.True(t, strings.HasSuffix(string(b), tc.record), "%s", b)
		})
	}
}

func TestOptionalPluginsFailWithoutTheDaemon(t *testing.T) {
	for _, moods := range []string{"{New: error}", "{New: panic}", "{PreStartHook: error}", "{PreStartHook: hang}"} {
		t.Run(moods, func(t *testing.T) {
			d, _ := pluginDaemon(t, embedded, strings.Replace(twoPlugins, "{timeout: 400ms}", "{timeout: 400ms, required: false}", 1)+"    moods: "+moods+"\n")
			_, err := d.client.Info(testContext(t), client.InfoOptions{})
			require.NoError(t, err)
			assert.Contains(t, d.log.String(), "second")
			state := d.signal(syscall.SIGTERM)
			assert.Zero(t, state.ExitCode())
		})
	}
}

func TestAFailingStopHookIsReported(t *testing.T) {
	for _, mood := range []string{"error", "panic", "hang"} {
		t.Run(mood, func(t *testing.T) {
			d, record := pluginDaemon(t, embedded, twoPlugins+"    moods: {PreStopHook: "+mood+"}\n")
			state := d.signal(syscall.SIGTERM)
			assert.Equal(t, 1, state.ExitCode())
			assert.Contains(t, d.log.String(), "PreStopHook")
			b, err := os.ReadFile(record)
			require.NoError(t, err)
			assert.True(t, strings.HasSuffix(string(b), "second PreStopHook\nmoody PreStopHook\n"), "%s", b)
		})
	}
}

func TestARouteOfAPluginCannotKillTheDaemon(t *testing.T) {
	d, _ := pluginDaemon(t, embedded, twoPlugins)
	web := http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", d.socket)
	}}}
	defer web.CloseIdleConnections()
	for query, want := range map[string]int{"": 200, "?mood=error": 403, "?mood=panic": 500} {
		res, err := web.Get("http://d/v1.44/second" + query)
		require.NoError(t, err)
		res.Body.Close()
		assert.Equal(t, want, res.StatusCode, query)
	}
}
