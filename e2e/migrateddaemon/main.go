// Command migrated-daemon is demo-daemon with plugins that were written for
// PouchContainer and register themselves from init: docs/migrating.md.
package main

import (
	"github.com/pouchfx/pouchfx/cmd/demo-daemon/daemon"

	_ "github.com/pouchfx/pouchfx/examples/migrated/apiplugin"
	_ "github.com/pouchfx/pouchfx/examples/migrated/containerplugin"
	_ "github.com/pouchfx/pouchfx/examples/migrated/hostplugin"
)

func main() { daemon.Main() }
