package snapshotters_test

import (
	"testing"

	"github.com/pouchfx/pouchfx/plugins/plugintest"
	"github.com/pouchfx/pouchfx/plugins/snapshotters"
)

func TestThePluginKeepsTheContract(t *testing.T) {
	plugintest.Run(t, snapshotters.Module, plugintest.Config(`rules: [{into: [native], background: true}]`))
}
