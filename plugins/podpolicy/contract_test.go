package podpolicy_test

import (
	"testing"

	"github.com/pouchfx/pouchfx/plugins/plugintest"
	"github.com/pouchfx/pouchfx/plugins/podpolicy"
)

func TestThePluginKeepsTheContract(t *testing.T) {
	plugintest.Run(t, podpolicy.Module, plugintest.Config(`rules: [{env: {A: b}, limits: {memory: 1g}, refuse: [{if: container.privileged}]}]`))
}
