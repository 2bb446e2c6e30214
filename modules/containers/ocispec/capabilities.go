package ocispec

import (
	"slices"
	"strings"

	"github.com/containerd/containerd/v2/pkg/cap"
	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// defaultCapabilities are dockerd's.
var defaultCapabilities = []string{
	"CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_FSETID", "CAP_FOWNER", "CAP_MKNOD", "CAP_NET_RAW", "CAP_SETGID",
	"CAP_SETUID", "CAP_SETFCAP", "CAP_SETPCAP", "CAP_NET_BIND_SERVICE", "CAP_SYS_CHROOT", "CAP_KILL", "CAP_AUDIT_WRITE",
}

// Capabilities returns what a container has: the defaults, or with privileged
// all that the daemon has, changed by add and drop. Names come with or without
// CAP_, in any case; ALL means all.
func Capabilities(privileged bool, add, drop []string) ([]string, error) {
	all, err := cap.Current()
	if err != nil {
		return nil, err
	}
	adds, err := capabilityNames("CapAdd", add)
	if err != nil {
		return nil, err
	}
	drops, err := capabilityNames("CapDrop", drop)
	if err != nil {
		return nil, err
	}
	if privileged {
		return all, nil
	}
	base := defaultCapabilities
	switch {
	case slices.Contains(adds, "ALL"):
		base = all
	case slices.Contains(drops, "ALL"):
		base = nil
	}
	var result []string
	for _, c := range base {
		if !slices.Contains(drops, c) {
			result = append(result, c)
		}
	}
	for _, c := range adds {
		if c != "ALL" && !slices.Contains(result, c) && (!slices.Contains(drops, c) || base == nil) {
			result = append(result, c)
		}
	}
	return result, nil
}

func capabilityNames(setting string, names []string) ([]string, error) {
	known := cap.Known()
	var result []string
	for _, name := range names {
		c := strings.ToUpper(name)
		if c != "ALL" && !strings.HasPrefix(c, "CAP_") {
			c = "CAP_" + c
		}
		if c != "ALL" && !slices.Contains(known, c) {
			return nil, invalid("invalid %s: unknown capability: %q", setting, name)
		}
		result = append(result, c)
	}
	return result, nil
}

func setCapabilities(in Input, s *specs.Spec) error {
	h := in.HostConfig
	caps, err := Capabilities(h.Privileged, h.CapAdd, h.CapDrop)
	if err != nil {
		return err
	}
	s.Process.Capabilities = ProcessCapabilities(caps, s.Process.User.UID)
	return nil
}

// ProcessCapabilities returns the sets of a process. One that is not root has
// nothing but the bounding set, as execve would leave it.
func ProcessCapabilities(caps []string, uid uint32) *specs.LinuxCapabilities {
	c := &specs.LinuxCapabilities{Bounding: caps}
	if uid == 0 {
		c.Effective, c.Permitted = caps, caps
	}
	return c
}
