// Package facts is what the demo's container finds out about itself, and how
// it tells the demo.
package facts

import (
	"bytes"
	"net"
	"os"
	"strconv"
	"strings"
)

// Where the container looks.
const (
	StartNote  = "/.limits-started"
	UpdateNote = "/.limits-updated"
	VolumeFile = "/data/greeting"
)

// Port is where the container says hello, over TCP.
const Port = "7"

// Facts is what a process in the container sees.
type Facts struct {
	Env []string
	// MemoryLimit is that of the container's cgroup, in bytes; 0 when it
	// cannot be read.
	MemoryLimit int64
	// StartNote, UpdateNote and VolumeFile are the contents of these files;
	// empty when they are not there.
	StartNote, UpdateNote, VolumeFile string
	// Interfaces are those of the network, in order, without loopback, and
	// Gateway the one through which the default route leads.
	Interfaces []Interface
	Gateway    string
	// Resolv is /etc/resolv.conf, Named the addresses that the container's
	// name stands for.
	Resolv string
	Named  []string
}

// Interface is a network interface with its first address.
type Interface struct{ Name, MAC, Address string }

// Gather looks around. name is how others call the container; empty looks
// nothing up.
func Gather(name string) Facts {
	f := Facts{
		Env:         os.Environ(),
		MemoryLimit: memoryLimit(),
		StartNote:   content(StartNote),
		UpdateNote:  content(UpdateNote),
		VolumeFile:  content(VolumeFile),
		Interfaces:  interfaces(),
		Gateway:     gateway(content("/proc/net/route")),
		Resolv:      content("/etc/resolv.conf"),
	}
	if name != "" {
		f.Named, _ = net.LookupHost(name)
	}
	return f
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

func interfaces() []Interface {
	all, _ := net.Interfaces()
	var found []Interface
	for _, i := range all {
		if i.Flags&net.FlagLoopback != 0 || i.Flags&net.FlagUp == 0 {
			continue
		}
		one := Interface{Name: i.Name, MAC: i.HardwareAddr.String()}
		if addrs, _ := i.Addrs(); len(addrs) > 0 {
			one.Address, _, _ = strings.Cut(addrs[0].String(), "/")
		}
		found = append(found, one)
	}
	return found
}

// gateway finds the interface of the default route in the kernel's table.
func gateway(table string) string {
	for line := range strings.Lines(table) {
		if fields := strings.Fields(line); len(fields) > 1 && fields[1] == "00000000" {
			return fields[0]
		}
	}
	return ""
}
