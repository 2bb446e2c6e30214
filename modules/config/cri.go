package config

import (
	"errors"
	"fmt"
	"net/netip"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
)

// CRI configures the CRI of the embedded containerd. What is empty is as in
// stock containerd.
type CRI struct {
	// CNIConfDir holds the configuration of the pods' network; empty means
	// /etc/cni/net.d.
	CNIConfDir string `yaml:"cni-conf-dir"`
	// CNIBinDirs hold CNI's programs; empty means /opt/cni/bin. Those that the
	// daemon carries, bridge and host-local, are found behind those.
	CNIBinDirs []string `yaml:"cni-bin-dirs"`
	// RegistryDirs hold a directory with a hosts.toml for each registry; empty
	// means /etc/containerd/certs.d and /etc/docker/certs.d.
	RegistryDirs []string `yaml:"registry-dirs"`
	// SandboxImage is the image of pods' first process; empty means the one
	// that the daemon carries.
	SandboxImage string `yaml:"sandbox-image"`
	// CgroupDriver is systemd or cgroupfs; empty means systemd where it runs.
	CgroupDriver string `yaml:"cgroup-driver"`
	// StreamAddress is where exec, attach and port-forward are served to
	// kubelet, on loopback; empty means a free port.
	StreamAddress string `yaml:"stream-address"`
	// Runtimes are runtime handlers, as in a RuntimeClass, beside runc.
	Runtimes map[string]Runtime `yaml:"runtimes"`
}

// Runtime is a runtime handler.
type Runtime struct {
	// Path is a program like runc, Shim a shim of containerd by its path or its
	// type (io.containerd.kata.v2): one of them.
	Path string `yaml:"path"`
	Shim string `yaml:"shim"`
	// Options are given to the shim; those of runc and its like are
	// containerd's, such as SystemdCgroup.
	Options map[string]any `yaml:"options"`
	// PodAnnotations and ContainerAnnotations are patterns of those that the
	// runtime gets to see.
	PodAnnotations       []string `yaml:"pod-annotations"`
	ContainerAnnotations []string `yaml:"container-annotations"`
	// Snapshotter holds root filesystems; empty means the daemon's.
	Snapshotter string `yaml:"snapshotter"`
	// PrivilegedWithoutHostDevices keeps the host's devices out of privileged
	// containers.
	PrivilegedWithoutHostDevices bool `yaml:"privileged-without-host-devices"`
}

func (c *Config) validateCRI(check func(key string, err error)) {
	if c.CRIHost != "" {
		check("cri-host", c.checkCRIHost())
	}
	if c.Containerd != "" {
		for key, v := range fieldsOf(reflect.ValueOf(&c.CRI).Elem()).byKey {
			if v.Len() > 0 {
				check("cri."+key, fmt.Errorf("the containerd at %s has a configuration of its own: write it there", c.Containerd))
			}
		}
	}
	if c.CRI.CNIConfDir != "" {
		check("cri.cni-conf-dir", checkAbsolute(c.CRI.CNIConfDir, "a directory such as /etc/cni/net.d"))
	}
	for _, dir := range c.CRI.CNIBinDirs {
		check("cri.cni-bin-dirs", checkAbsolute(dir, "a directory such as /opt/cni/bin"))
	}
	for _, dir := range c.CRI.RegistryDirs {
		check("cri.registry-dirs", checkRegistryDir(dir))
	}
	if c.CRI.CgroupDriver != "" {
		check("cri.cgroup-driver", checkOneOf(c.CRI.CgroupDriver, "systemd", "cgroupfs"))
	}
	if c.CRI.StreamAddress != "" {
		check("cri.stream-address", checkLoopback(c.CRI.StreamAddress))
	}
	for name, r := range c.CRI.Runtimes {
		check("cri.runtimes."+name, r.check(name))
	}
}

func (c *Config) checkCRIHost() error {
	path, unix := strings.CutPrefix(c.CRIHost, "unix://")
	if !unix {
		return fmt.Errorf("%q: kubelet comes through a unix socket, as in unix:///run/pouchfx/cri.sock", c.CRIHost)
	}
	if slices.Contains(c.Hosts, c.CRIHost) {
		return fmt.Errorf("%q is among the hosts of the API too: use another path", c.CRIHost)
	}
	return checkSocket(c.CRIHost, path)
}

func checkRegistryDir(dir string) error {
	if strings.Contains(dir, ":") {
		return fmt.Errorf("%q: must not have a colon, which containerd takes for the end of the path", dir)
	}
	return checkAbsolute(dir, "a directory such as /etc/containerd/certs.d")
}

// checkLoopback keeps streams, which are not encrypted, on this machine.
func checkLoopback(address string) error {
	if a, err := netip.ParseAddrPort(address); err != nil || !a.Addr().IsLoopback() {
		return fmt.Errorf("%q: write a loopback address and a port, as in 127.0.0.1:0", address)
	}
	return nil
}

func (r Runtime) check(name string) error {
	switch {
	case !validHandler(name):
		return errors.New("the name of a runtime handler has at most 63 small letters, digits and inner dashes")
	case r.Path != "" && r.Shim != "":
		return errors.New("path and shim exclude each other: give a program like runc as path, a shim of containerd as shim")
	case r.Path == "" && r.Shim == "" && name != "runc":
		return errors.New("needs a path, of a program like runc, or a shim of containerd")
	case r.Path != "":
		return checkAbsolute(r.Path, "a program such as /usr/local/bin/crun")
	case r.Shim != "" && !filepath.IsAbs(r.Shim) && !validShimType(r.Shim):
		return fmt.Errorf("shim %q: write its absolute path, or its type as in io.containerd.kata.v2", r.Shim)
	}
	return nil
}

// validHandler tells whether Kubernetes takes a name as that of a handler.
func validHandler(name string) bool {
	return name != "" && len(name) <= 63 && strings.Trim(name, "-") == name &&
		strings.Trim(name, "abcdefghijklmnopqrstuvwxyz0123456789-") == ""
}

func validShimType(name string) bool {
	rest, ok := strings.CutPrefix(name, "io.containerd.")
	shim, version, found := strings.Cut(rest, ".v")
	return ok && found && shim != "" && !strings.Contains(shim, ".") && version != "" && strings.Trim(version, "0123456789") == ""
}
