package plugintest

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	containerd "github.com/containerd/containerd/v2/client"
	"github.com/stretchr/testify/require"

	"github.com/pouchfx/pouchfx/modules/config"
	"github.com/pouchfx/pouchfx/modules/guard"
	"github.com/pouchfx/pouchfx/networktypes"
	"github.com/pouchfx/pouchfx/plugins"
	"github.com/pouchfx/pouchfx/types"
)

// kit is one plugin under test.
type kit struct {
	module   *plugins.Provided
	section  string
	supplied []any
	settings *config.Config
	policy   plugins.Policy

	creates   []argument[*types.ContainerCreateConfig]
	starts    []argument[*types.Container]
	endpoints []argument[*networktypes.Endpoint]
	updates   []argument[string]
	sandboxes []argument[*types.SandboxMeta]
	images    []argument[containerd.Image]
	volumes   []argument[*types.VolumeCreateConfig]
	rootfs    string
}

// prepare settles the plugin's policy and adds the arguments of the kit.
func (k *kit) prepare(t *testing.T) (err error) {
	if err := k.module.Err(); err != nil {
		return err
	}
	if k.settings, err = k.load(t); err != nil {
		return err
	}
	if k.policy, err = k.module.Settle(k.settings); err != nil {
		return err
	}
	if !k.policy.Enabled {
		return fmt.Errorf("plugin %q is disabled: enable it with plugintest.Config(\"policy: {enabled: true}\")", k.module.Name)
	}
	k.addOurs(t)
	return nil
}

// load decodes the plugin's section as a daemon does, from a file. An empty one
// is there in any case, for plugins that wait for being configured.
func (k *kit) load(t *testing.T) (*config.Config, error) {
	file := filepath.Join(t.TempDir(), "config.yaml")
	text := "plugins:\n  " + k.module.Name + ":\n"
	for line := range strings.Lines(cmp.Or(k.section, "{}")) {
		text += "    " + line
	}
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		return nil, err
	}
	return config.Load(file, nil, nil)
}

// construct makes a new instance of the plugin.
func (k *kit) construct() (any, error) { return construct(k.module, k.settings, k.supplied) }

// live runs f with an instance that is started before and stopped after.
func (k *kit) live(t *testing.T, f func(plugin any)) {
	t.Helper()
	plugin, err := k.construct()
	require.NoError(t, err)
	if p, ok := plugin.(plugins.DaemonPlugin); ok {
		require.NoError(t, k.guarded(func() error { return p.PreStartHook() }), "PreStartHook")
		defer func() {
			if err := k.guarded(func() error { return p.PreStopHook() }); err != nil {
				t.Errorf("PreStopHook: %v", err)
			}
		}()
	}
	f(plugin)
}

// guarded calls a hook without a context, within the plugin's timeout.
func (k *kit) guarded(f func() error) error {
	return k.call(context.Background(), func(context.Context) error { return f() })
}

// call calls a hook as a daemon does: within the plugin's timeout, and a panic
// is an error.
func (k *kit) call(ctx context.Context, f func(context.Context) error) error {
	_, err := guard.Call(ctx, guard.Limits{Timeout: k.policy.Timeout}, struct{}{}, func(ctx context.Context, _ struct{}) (struct{}, error) {
		return struct{}{}, f(ctx)
	})
	return told(err)
}
