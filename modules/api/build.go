package api

import (
	"runtime/debug"
	"sync"
)

// Build is what the binary knows of how it was built.
type Build struct {
	// Version is that of the module, "dev" in a working tree.
	Version string
	// Revision and Time are the commit's; empty when built without it.
	Revision, Time string
}

// Version returns what the Go linker recorded.
var Version = sync.OnceValue(func() Build {
	b := Build{Version: "dev"}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return b
	}
	if v := info.Main.Version; v != "" && v != "(devel)" {
		b.Version = v
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
})
