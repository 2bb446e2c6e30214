package api

import (
	"runtime/debug"
	"sync"
)

// module is the path of the Go module that this package is part of.
const module = "github.com/pouchfx/pouchfx"

// Build is what the binary knows of how it was built.
type Build struct {
	// Version is that of the module, "dev" in a working tree.
	Version string
	// Revision and Time are the commit's; empty when built without it.
	Revision, Time string
}

// Version returns what the Go linker recorded.
var Version = sync.OnceValue(func() Build {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return Build{Version: "dev"}
	}
	return buildOf(info)
})

// buildOf reads what the linker recorded of this module, which is not the main one in
// a daemon with a main function of somebody's own.
func buildOf(info *debug.BuildInfo) Build {
	b := Build{Version: "dev"}
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
