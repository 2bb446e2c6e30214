package ocispec

import (
	"fmt"
	"strconv"
	"strings"

	contrib "github.com/containerd/containerd/v2/contrib/apparmor"
	"github.com/containerd/containerd/v2/pkg/apparmor"
	"github.com/moby/profiles/seccomp"
	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// AppArmorProfile is the name of the profile that confines containers on
// hosts with AppArmor. It is loaded when it is first needed.
const AppArmorProfile = "pouchfx-default"

// Hidden from a container that is not privileged, as dockerd hides it.
var (
	maskedPaths = []string{
		"/proc/acpi", "/proc/asound", "/proc/interrupts", "/proc/kcore", "/proc/keys", "/proc/latency_stats",
		"/proc/sched_debug", "/proc/scsi", "/proc/timer_list", "/proc/timer_stats",
		"/sys/devices/virtual/powercap", "/sys/firmware",
	}
	readonlyPaths = []string{"/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"}
)

// SecurityOptions are those of --security-opt.
type SecurityOptions struct {
	// Seccomp is a profile as JSON, "unconfined", or empty for the default.
	Seccomp string
	// AppArmor is a profile's name, "unconfined", or empty for the default.
	AppArmor string
	// NoNewPrivileges keeps the process from gaining privileges by execve.
	NoNewPrivileges bool
}

// ParseSecurityOptions reads --security-opt.
func ParseSecurityOptions(list []string) (SecurityOptions, error) {
	var o SecurityOptions
	for _, opt := range list {
		if opt == "no-new-privileges" {
			o.NoNewPrivileges = true
			continue
		}
		key, value, ok := strings.Cut(opt, "=")
		if !ok {
			key, value, ok = strings.Cut(opt, ":") // the older form
		}
		if !ok {
			return o, invalid("invalid --security-opt 1: %q", opt)
		}
		switch key {
		case "seccomp":
			if o.Seccomp = value; value == "builtin" {
				o.Seccomp = ""
			}
		case "apparmor":
			if o.AppArmor = value; value != "" && value != "unconfined" && !apparmor.HostSupports() {
				return o, invalid("security option %q: this host has no AppArmor", opt)
			}
		case "no-new-privileges":
			on, err := strconv.ParseBool(value)
			if err != nil {
				return o, invalid("invalid --security-opt 2: %q", opt)
			}
			o.NoNewPrivileges = on
		case "label":
			if value != "disable" {
				return o, invalid("security option %q: this daemon does not label containers for SELinux; only label=disable is accepted", opt)
			}
		default:
			return o, invalid("invalid --security-opt 2: %q", opt)
		}
	}
	return o, nil
}

func setSecurity(in Input, s *specs.Spec) error {
	h := in.HostConfig
	o, err := ParseSecurityOptions(h.SecurityOpt)
	if err != nil {
		return err
	}
	s.Process.NoNewPrivileges = o.NoNewPrivileges
	if !h.Privileged {
		s.Linux.MaskedPaths, s.Linux.ReadonlyPaths = maskedPaths, readonlyPaths
	}
	if h.MaskedPaths != nil {
		s.Linux.MaskedPaths = h.MaskedPaths
	}
	if h.ReadonlyPaths != nil {
		s.Linux.ReadonlyPaths = h.ReadonlyPaths
	}
	if err := setAppArmor(o, h.Privileged, s); err != nil {
		return err
	}
	return setSeccomp(in, o, s)
}

func setAppArmor(o SecurityOptions, privileged bool, s *specs.Spec) error {
	switch {
	case !apparmor.HostSupports():
		return nil
	case o.AppArmor != "":
		s.Process.ApparmorProfile = o.AppArmor
	case privileged:
		s.Process.ApparmorProfile = "unconfined"
	default:
		if err := contrib.LoadDefaultProfile(AppArmorProfile); err != nil {
			return fmt.Errorf("cannot load the AppArmor profile %s: %w", AppArmorProfile, err)
		}
		s.Process.ApparmorProfile = AppArmorProfile
	}
	return nil
}

// setSeccomp needs the capabilities to be set: the default profile allows
// what they imply.
func setSeccomp(in Input, o SecurityOptions, s *specs.Spec) (err error) {
	explicit := o.Seccomp != ""
	switch {
	case o.Seccomp == "unconfined" || in.HostConfig.Privileged && !explicit:
		return nil
	case !in.Seccomp && explicit:
		return invalid("a seccomp profile was given, but the runtime of this daemon was built without seccomp")
	case !in.Seccomp:
		return nil // the engine says so, loudly, when it starts
	case explicit:
		s.Linux.Seccomp, err = seccomp.LoadProfile(o.Seccomp, s)
		if err != nil {
			return invalid("opening seccomp profile failed: %v", err)
		}
	default:
		s.Linux.Seccomp, err = seccomp.GetDefaultProfile(s)
		if err == nil {
			s.Linux.Seccomp.Syscalls = fewerRules(s.Linux.Seccomp.Syscalls)
		}
	}
	return err
}
