package api

import (
	"bufio"
	"crypto/sha256"
	"os"
	"strconv"
	"strings"

	"github.com/google/uuid"
	"golang.org/x/sys/unix"
)

// host is what docker info shows of the machine. What cannot be read is left
// empty, as dockerd does.
type host struct {
	Name, Kernel, OperatingSystem, OSVersion, Architecture string
	Memory                                                 int64
	CgroupVersion                                          string
	Controllers                                            map[string]bool
	// SwapLimit tells whether swap is counted: a kernel can be told not to.
	SwapLimit, IPv4Forwarding bool
}

func inspectHost() host {
	h := host{Controllers: make(map[string]bool), CgroupVersion: "1", OperatingSystem: "Linux"}
	h.Name, _ = os.Hostname()
	var name unix.Utsname
	if unix.Uname(&name) == nil {
		h.Kernel = unix.ByteSliceToString(name.Release[:])
		h.Architecture = unix.ByteSliceToString(name.Machine[:])
	}
	var memory unix.Sysinfo_t
	if unix.Sysinfo(&memory) == nil {
		h.Memory = int64(memory.Totalram) * int64(memory.Unit)
	}
	release := keyValues("/etc/os-release")
	if release["PRETTY_NAME"] != "" {
		h.OperatingSystem = release["PRETTY_NAME"]
	}
	h.OSVersion = release["VERSION_ID"]
	forwarding, _ := os.ReadFile("/proc/sys/net/ipv4/ip_forward")
	h.IPv4Forwarding = strings.TrimSpace(string(forwarding)) == "1"

	const cgroups = "/sys/fs/cgroup"
	var fs unix.Statfs_t
	if unix.Statfs(cgroups, &fs) == nil && fs.Type == unix.CGROUP2_SUPER_MAGIC {
		h.CgroupVersion = "2"
		controllers, _ := os.ReadFile(cgroups + "/cgroup.controllers")
		for _, c := range strings.Fields(string(controllers)) {
			h.Controllers[c] = true
		}
		_, err := os.Stat("/proc/swaps") // without swap in the kernel there is nothing to limit
		h.SwapLimit = h.Controllers["memory"] && err == nil
		return h
	}
	mounted, _ := os.ReadDir(cgroups)
	for _, m := range mounted {
		for c := range strings.SplitSeq(m.Name(), ",") {
			h.Controllers[c] = true
		}
	}
	_, err := os.Stat(cgroups + "/memory/memory.memsw.limit_in_bytes")
	h.SwapLimit = err == nil
	return h
}

// keyValues reads lines of KEY=value, as os-release has them.
func keyValues(path string) map[string]string {
	values := make(map[string]string)
	f, err := os.Open(path)
	if err != nil {
		return values
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		key, value, ok := strings.Cut(lines.Text(), "=")
		if unquoted, err := strconv.Unquote(value); err == nil {
			value = unquoted
		}
		if ok {
			values[key] = strings.Trim(value, "'")
		}
	}
	return values
}

// daemonID names a daemon: the same for the same data on the same machine.
func daemonID(dataRoot string) string {
	machine, _ := os.ReadFile("/etc/machine-id")
	sum := sha256.Sum256([]byte(strings.TrimSpace(string(machine)) + "\n" + dataRoot))
	id, _ := uuid.FromBytes(sum[:16]) // 16 bytes always are one
	return id.String()
}
