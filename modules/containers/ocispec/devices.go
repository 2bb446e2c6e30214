package ocispec

import (
	"context"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"

	"github.com/containerd/containerd/v2/pkg/oci"
	specs "github.com/opencontainers/runtime-spec/specs-go"
)

func setDevices(in Input, s *specs.Spec) error {
	h := in.HostConfig
	if h.Privileged {
		devices, err := oci.HostDevices()
		if err != nil {
			return err
		}
		s.Linux.Devices = devices
		s.Linux.Resources.Devices = []specs.LinuxDeviceCgroup{{Allow: true, Access: "rwm"}}
		return nil
	}
	s.Linux.Resources.Devices = defaultDeviceRules()
	for _, d := range h.Devices {
		// A link stands for what it points to, as /dev/disk/by-id does.
		path, err := filepath.EvalSymlinks(d.PathOnHost)
		if err == nil {
			_, err = os.Stat(path)
		}
		if err != nil {
			return invalid("error gathering device information while adding custom device %q: no such file or directory", d.PathOnHost)
		}
		access := d.CgroupPermissions
		if access == "" {
			access = "rwm"
		}
		inside := d.PathInContainer
		if inside == "" {
			inside = d.PathOnHost
		}
		if err := oci.WithDevices(path, inside, access)(context.Background(), nil, nil, s); err != nil {
			return invalid("error gathering device information while adding custom device %q: %v", d.PathOnHost, err)
		}
	}
	for _, rule := range h.DeviceCgroupRules {
		r, err := ParseDeviceRule(rule)
		if err != nil {
			return err
		}
		s.Linux.Resources.Devices = append(s.Linux.Resources.Devices, r)
	}
	return nil
}

// defaultDeviceRules forbid all devices but the harmless ones.
func defaultDeviceRules() []specs.LinuxDeviceCgroup {
	rules := []specs.LinuxDeviceCgroup{{Allow: false, Access: "rwm"}}
	for _, d := range [][2]int64{
		{1, 5}, {1, 3}, {1, 9}, {1, 8}, // zero, null, urandom, random
		{5, 0}, {5, 1}, // tty, console
	} {
		rules = append(rules, specs.LinuxDeviceCgroup{Allow: true, Type: "c", Major: &d[0], Minor: &d[1], Access: "rwm"})
	}
	return rules
}

// deviceRule is compiled when it is first needed: few containers have rules, and
// every shim would compile it too.
var deviceRule = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`^([acb]) ([0-9]{1,9}|\*):([0-9]{1,9}|\*) ([rwm]{1,3})$`)
})

// ParseDeviceRule reads a rule of --device-cgroup-rule: "c 42:* rmw".
func ParseDeviceRule(text string) (specs.LinuxDeviceCgroup, error) {
	m := deviceRule().FindStringSubmatch(text)
	if m == nil {
		return specs.LinuxDeviceCgroup{}, invalid("invalid device cgroup rule format: %q", text)
	}
	number := func(text string) *int64 {
		n, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			n = -1 // all
		}
		return &n
	}
	return specs.LinuxDeviceCgroup{Allow: true, Type: m[1], Major: number(m[2]), Minor: number(m[3]), Access: m[4]}, nil
}

// ValidDeviceMode tells whether mode is one of --device: some of r, w and m.
func ValidDeviceMode(mode string) bool { return mode != "" && strings.Trim(mode, "rwm") == "" }
