// Package build tells how the binary was built. It is a package of its own
// because all doors of the daemon tell it: the API, the metrics, the spans.
package build

import (
	"runtime/debug"
	"sync"
)

// module is the path of the Go module that this package is part of.
const module = "github.com/pouchfx/pouchfx"

// Info is what the binary knows of how it was built.
type Info struct {
	// Version is that of the module, "dev" in a working tree.
	Version string
	// Revision and Time are the commit's; empty when built without it.
	Revision, Time string
}

// Read returns what the Go linker recorded.
var Read = sync.OnceValue(func() Info {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return Info{Version: "dev"}
	}
	return infoOf(info)
})

// infoOf reads what the linker recorded of this module, which is not the main one in
// a daemon with a main function of somebody's own.
func infoOf(info *debug.BuildInfo) Info {
	b := Info{Version: "dev"}
	ours := &info.Main
	for _, m := range info.Deps {
		if m.Path == module {
			ours = m
		}
	}
	if ours.Path == module && ours.Replace == nil && ours.Version != "" && ours.Version != "(devel)" {
		b.Version = ours.Version
	}
	if ours != &info.Main {
		return b // what follows is the main module's
	}
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			b.Revision = s.Value
		case "vcs.time":
			b.Time = s.Value
		}
	}
	return b
}
