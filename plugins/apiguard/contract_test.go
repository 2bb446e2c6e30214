package apiguard

import (
	"testing"

	"github.com/pouchfx/pouchfx/plugins/plugintest"
)

func TestThePluginKeepsTheContract(t *testing.T) {
	plugintest.Run(t, Module, plugintest.Config(`{default: allow, rules: [{do: deny, methods: [DELETE]}], audit: {file: `+t.TempDir()+`/audit}}`))
}
