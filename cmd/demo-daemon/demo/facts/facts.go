// Package facts is what the demo's container finds out about itself, and how
// it tells the demo.
package facts

import (
	"bytes"
	"os"
	"strconv"
)

// Where the container looks.
const (
	StartNote  = "/.limits-started"
	UpdateNote = "/.limits-updated"
	VolumeFile = "/data/greeting"
)

// Facts is what a process in the container sees.
type Facts struct {
	Env []string
	// MemoryLimit is that of the container's cgroup, in bytes; 0 when it
	// cannot be read.
	MemoryLimit int64
	// StartNote, UpdateNote and VolumeFile are the contents of these files;
	// empty when they are not there.
	StartNote, UpdateNote, VolumeFile string
}

// Gather looks around.
func Gather() Facts {
	return Facts{
		Env:         os.Environ(),
		MemoryLimit: memoryLimit(),
		StartNote:   content(StartNote),
		UpdateNote:  content(UpdateNote),
		VolumeFile:  content(VolumeFile),
	}
}

func content(file string) string {
	text, _ := os.ReadFile(file)
	return string(text)
}

// memoryLimit asks the cgroup's file system, of version 2 or 1.
func memoryLimit() int64 {
	for _, file := range []string{"/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"} {
		if text, err := os.ReadFile(file); err == nil {
			n, _ := strconv.ParseInt(string(bytes.TrimSpace(text)), 10, 64)
			return n
		}
	}
	return 0
}
