// Package plugins_test holds the plugins of the demo against the contract.
package plugins_test

import (
	"path/filepath"
	"testing"

	"github.com/pouchfx/pouchfx/examples/plugins/diary"
	"github.com/pouchfx/pouchfx/examples/plugins/limits"
	"github.com/pouchfx/pouchfx/examples/plugins/pulls"
	"github.com/pouchfx/pouchfx/examples/plugins/stamp"
	"github.com/pouchfx/pouchfx/examples/plugins/tenants"
	"github.com/pouchfx/pouchfx/examples/plugins/uplink"
	"github.com/pouchfx/pouchfx/examples/plugins/volumelabels"
	"github.com/pouchfx/pouchfx/plugins"
	"github.com/pouchfx/pouchfx/plugins/plugintest"
)

func TestThePluginsOfTheDemoKeepTheContract(t *testing.T) {
	for _, p := range []struct {
		module  *plugins.Provided
		section string
	}{
		{diary.Module, "file: " + filepath.Join(t.TempDir(), "diary")},
		{limits.Module, "memory: 64m"},
		{pulls.Module, ""},
		{stamp.Module, ""},
		{tenants.Module, "namespaces: {shop: blue}"},
		{uplink.Module, `{network: front, vendor: "02:42:ac", search: [example.org]}`},
		{volumelabels.Module, "labels: {team: blue}"},
	} {
		t.Run(p.module.Name, func(t *testing.T) { plugintest.Run(t, p.module, plugintest.Config(p.section)) })
	}
}
