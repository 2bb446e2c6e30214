package sidecars

import (
	"testing"

	"github.com/pouchfx/pouchfx/plugins/plugintest"
)

func TestThePluginKeepsTheContract(t *testing.T) {
	plugintest.Run(t, Module, plugintest.Config(`helpers: [{name: a, command: [/bin/sleep, "1000"]}]`))
}
