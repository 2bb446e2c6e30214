package config

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestTheSectionOfCRI(t *testing.T) {
	c, err := load(t, `
cri-host: unix:///run/pouchfx/cri.sock
cri:
  cni-conf-dir: /net.d
  cni-bin-dirs: [/a, /b]
  registry-dirs: [/certs.d]
  sandbox-image: example.org/pause:1
  cgroup-driver: cgroupfs
  stream-address: "[::1]:10010"
  runtimes:
    runc:
      options: {SystemdCgroup: true}
    gvisor:
      path: /usr/local/bin/runsc
      pod-annotations: ["dev.gvisor.*"]
    kata:
      shim: io.containerd.kata.v2
      options: {ConfigPath: /etc/kata.toml}
      snapshotter: native
      privileged-without-host-devices: true
`)
	require.NoError(t, err)
	assert.Equal(t, "unix:///run/pouchfx/cri.sock", c.CRIHost)
	assert.Equal(t, CRI{
		CNIConfDir: "/net.d", CNIBinDirs: []string{"/a", "/b"}, RegistryDirs: []string{"/certs.d"},
		SandboxImage: "example.org/pause:1", CgroupDriver: "cgroupfs", StreamAddress: "[::1]:10010",
		Runtimes: map[string]Runtime{
			"runc":   {Options: map[string]any{"SystemdCgroup": true}},
			"gvisor": {Path: "/usr/local/bin/runsc", PodAnnotations: []string{"dev.gvisor.*"}},
			"kata": {
				Shim: "io.containerd.kata.v2", Options: map[string]any{"ConfigPath": "/etc/kata.toml"},
				Snapshotter: "native", PrivilegedWithoutHostDevices: true,
			},
		},
	}, c.CRI)
}

func TestMistakesInTheSectionOfCRI(t *testing.T) {
	tests := map[string]struct{ text, want string }{
		"unknown key":          {"cri:\n  cni-bin-dir: /x\n", `:2: cri: unknown key "cni-bin-dir": did you mean "cni-bin-dirs"?`},
		"unknown of a runtime": {"cri:\n  runtimes:\n    a: {pth: /x}\n", `:3: cri.runtimes.a: unknown key "pth": did you mean "path"?`},
		"no mapping":           {"cri: unix:///x\n", `:1: cri: "unix:///x" is not a mapping`},
		"host of another kind": {"cri-host: tcp://127.0.0.1:1\n", `:1: cri-host: "tcp://127.0.0.1:1": kubelet comes through a unix socket`},
		"relative host":        {"cri-host: unix://x\n", "needs an absolute path"},
		"host of the API":      {"cri-host: unix:///run/pouchfx/pouchfx.sock\n", "is among the hosts of the API"},
		"relative directory":   {"cri:\n  cni-conf-dir: net.d\n", `:2: cri.cni-conf-dir: "net.d": must be an absolute path`},
		"relative programs":    {"cri:\n  cni-bin-dirs:\n  - /a\n  - b\n", `: cri.cni-bin-dirs: "b": must be an absolute path`},
		"two directories":      {"cri:\n  registry-dirs: ['/a:/b']\n", "must not have a colon"},
		"cgroup driver":        {"cri:\n  cgroup-driver: v2\n", `:2: cri.cgroup-driver: "v2": use systemd, cgroupfs`},
		"streams for everyone": {"cri:\n  stream-address: 0.0.0.0:0\n", `:2: cri.stream-address: "0.0.0.0:0": write a loopback address`},
		"streams without port": {"cri:\n  stream-address: 127.0.0.1\n", "write a loopback address and a port"},
		"runtime of nothing":   {"cri:\n  runtimes:\n    a: {}\n", ":3: cri.runtimes.a: needs a path"},
		"runtime of two":       {"cri:\n  runtimes:\n    a:\n      path: /x\n      shim: /y\n", "cri.runtimes.a: path and shim exclude each other"},
		"runtime's name":       {"cri:\n  runtimes:\n    A_b: {path: /x}\n", "cri.runtimes.A_b: the name of a runtime handler"},
		"relative runtime":     {"cri:\n  runtimes:\n    a: {path: crun}\n", `"crun": must be an absolute path`},
		"shim of no type":      {"cri:\n  runtimes:\n    a: {shim: kata}\n", `shim "kata": write its absolute path, or its type`},
		"external containerd":  {"containerd: /c.sock\ncri:\n  cni-conf-dir: /x\n", ":3: cri.cni-conf-dir: the containerd at /c.sock has a configuration of its own"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := load(t, test.text)
			require.Error(t, err)
			assert.Contains(t, err.Error(), test.want)
			assert.Contains(t, err.Error(), "config.yaml:")
		})
	}
}
