package ocispec

import (
	"slices"
	"strconv"
	"strings"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// DefaultShmSize is that of /dev/shm, in bytes.
const DefaultShmSize = 64 << 20

func setMounts(in Input, s *specs.Spec) error {
	h := in.HostConfig
	given := func(destination string) bool {
		return slices.ContainsFunc(in.Mounts, func(m specs.Mount) bool { return m.Destination == destination })
	}
	for _, m := range defaultMounts(in) {
		if !given(m.Destination) {
			s.Mounts = append(s.Mounts, m)
		}
	}
	if WantsInit(h) {
		s.Mounts = append(s.Mounts, specs.Mount{
			Destination: InitPath, Type: "bind", Source: in.Init, Options: []string{"rbind", "ro"},
		})
	}
	s.Mounts = append(s.Mounts, in.Mounts...)
	s.Linux.RootfsPropagation = rootPropagation(in.Mounts)
	return nil
}

func defaultMounts(in Input) []specs.Mount {
	h := in.HostConfig
	sys := "ro"
	if h.Privileged {
		sys = "rw"
	}
	shm := h.ShmSize
	if shm <= 0 {
		shm = DefaultShmSize
	}
	mounts := []specs.Mount{
		{Destination: "/proc", Type: "proc", Source: "proc", Options: []string{"nosuid", "noexec", "nodev"}},
		{Destination: "/dev", Type: "tmpfs", Source: "tmpfs", Options: []string{"nosuid", "strictatime", "mode=755", "size=65536k"}},
		{Destination: "/dev/pts", Type: "devpts", Source: "devpts", Options: []string{"nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"}},
		{Destination: "/sys", Type: "sysfs", Source: "sysfs", Options: []string{"nosuid", "noexec", "nodev", sys}},
		{Destination: "/sys/fs/cgroup", Type: "cgroup", Source: "cgroup", Options: []string{sys, "nosuid", "noexec", "nodev"}},
		{Destination: "/dev/mqueue", Type: "mqueue", Source: "mqueue", Options: []string{"nosuid", "noexec", "nodev"}},
	}
	switch {
	case h.IpcMode.IsNone():
	case h.IpcMode.IsHost():
		// The mount of mqueue shows the host's queues, as its namespace is theirs.
		mounts = append(mounts, specs.Mount{Destination: "/dev/shm", Type: "bind", Source: "/dev/shm", Options: []string{"rbind", "nosuid", "noexec", "nodev"}})
	case in.Shm != "":
		mounts = append(mounts, specs.Mount{Destination: "/dev/shm", Type: "bind", Source: in.Shm, Options: []string{"rbind", "rprivate"}})
	default:
		mounts = append(mounts, specs.Mount{
			Destination: "/dev/shm", Type: "tmpfs", Source: "shm",
			Options: []string{"nosuid", "noexec", "nodev", "mode=1777", "size=" + strconv.FormatInt(shm, 10)},
		})
	}
	return mounts
}

// rootPropagation lets events through where a mount asks for them: runc makes
// the root's mount private otherwise.
func rootPropagation(mounts []specs.Mount) string {
	var result string
	for _, m := range mounts {
		for _, o := range m.Options {
			switch {
			case strings.HasSuffix(o, "shared"):
				return "shared"
			case strings.HasSuffix(o, "slave"):
				result = "rslave"
			}
		}
	}
	return result
}
