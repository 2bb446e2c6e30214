package plugintest_test

import (
	"context"
	"testing"

	"github.com/moby/moby/client"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pouchfx/pouchfx/plugins"
	"github.com/pouchfx/pouchfx/plugins/plugintest"
	"github.com/pouchfx/pouchfx/types"
)

func TestMain(m *testing.M) { plugintest.Main(m) }

// greeter tells containers something.
type greeter struct {
	plugins.ContainerBase
	plugins.DaemonBase
	greeting greeting
	stopped  bool
}

type greeting struct {
	Text string `yaml:"text"`
}

func (g *greeter) PreCreate(_ context.Context, c *types.ContainerCreateConfig) error {
	c.Env = append(c.Env, "GREETING="+g.greeting.Text)
	return nil
}

func (g *greeter) PreStopHook() error { g.stopped = true; return nil }

func TestPluginsWorkInAWholeDaemon(t *testing.T) {
	var made *greeter
	module := plugins.Provide("greeter", func(c greeting) (*greeter, error) {
		made = &greeter{greeting: c}
		return made, nil
	}, plugins.Defaults(greeting{Text: "hello"}))
	for file, want := range map[string]string{"": "hello\n", "plugins: {greeter: {text: hi}}": "hi\n"} {
		d := plugintest.DaemonWith(t, file, module)
		assert.Equal(t, want, d.Output(t, "echo $GREETING; echo quiet >&2"))
		_, err := d.Client.ContainerCreate(t.Context(), client.ContainerCreateOptions{Image: plugintest.BoxImage, Name: "left"})
		require.NoError(t, err)
		d.Stop(t)
		assert.True(t, made.stopped)
		assert.NotEmpty(t, d.Log())
	}
}
