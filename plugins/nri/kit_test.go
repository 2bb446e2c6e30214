package nri

import (
	"path/filepath"
	"testing"

	"github.com/pouchfx/pouchfx/plugins/plugintest"
)

func TestThePluginKeepsTheContract(t *testing.T) {
	plugintest.Run(t, Module, plugintest.Config("socket: "+filepath.Join(t.TempDir(), "nri.sock")))
}
