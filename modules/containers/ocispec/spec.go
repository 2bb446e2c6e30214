// Package ocispec turns a container's configuration, in Docker's words, into
// the specification that an OCI runtime runs.
//
// Build is a function of its Input alone but for what it reads of the host:
// devices, cgroup version and security modules. What has to be found out
// about the container (its user's ids, the namespaces it joins, its mounts'
// sources) is found out before and given in Input. Defaults are dockerd's.
package ocispec

import (
	"fmt"
	"maps"
	"path"
	"slices"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/pouchfx/pouchfx/types"
)

// InitPath is where the init process of --init is seen in the container.
const InitPath = "/sbin/docker-init"

// Input is what a specification is made from.
type Input struct {
	// Config and HostConfig are the container's; neither is changed.
	Config     *types.ContainerConfig
	HostConfig *types.HostConfig
	// Hostname is the container's; empty with the host's UTS namespace.
	Hostname string
	// Mounts follow the default ones, in order, and replace those of the
	// same destination.
	Mounts []specs.Mount
	// Annotations of the specification.
	Annotations map[string]string
	// User is the process's, resolved in the container's root filesystem.
	User specs.User
	// CgroupsPath is the container's cgroup, as runc wants it.
	CgroupsPath string
	// NetNS, PidNS and IpcNS are the paths of namespaces to join; empty for new
	// ones, unless HostConfig asks for the host's.
	NetNS, PidNS, IpcNS string
	// Shm is a directory of the host that holds the shared memory; empty for
	// the container's own.
	Shm string
	// Init is the path of the program that --init runs; needed with it.
	Init string
	// Hooks run in the runtime's namespace once the container's exist.
	Hooks []specs.Hook
	// Seccomp tells whether the runtime can filter system calls.
	Seccomp bool
}

// Build makes the specification. Its errors are of errdefs classes where the
// client is at fault.
func Build(in Input) (*specs.Spec, error) {
	h := in.HostConfig
	s := &specs.Spec{
		Version:     specs.Version,
		Root:        &specs.Root{Path: "rootfs", Readonly: h.ReadonlyRootfs},
		Hostname:    in.Hostname,
		Domainname:  in.Config.Domainname,
		Annotations: maps.Clone(in.Annotations),
		Process: &specs.Process{
			Terminal: in.Config.Tty,
			Cwd:      workingDir(in.Config.WorkingDir),
			Env:      environment(in),
			User:     in.User,
			Args:     arguments(in),
		},
		Linux: &specs.Linux{CgroupsPath: in.CgroupsPath},
	}
	if len(s.Process.Args) == 0 {
		return nil, invalid("no command specified")
	}
	if h.UTSMode.IsHost() {
		s.Hostname, s.Domainname = "", ""
	}
	if c := h.ConsoleSize; in.Config.Tty && c[0] > 0 && c[1] > 0 {
		s.Process.ConsoleSize = &specs.Box{Height: c[0], Width: c[1]}
	}
	if h.Umask != nil {
		s.Process.User.Umask = h.Umask
	}
	if len(in.Hooks) > 0 {
		s.Hooks = &specs.Hooks{CreateRuntime: in.Hooks}
	}
	for _, step := range []func(Input, *specs.Spec) error{
		setNamespaces, setMounts, setCapabilities, setResources, setDevices, setLimits, setSysctls, setSecurity,
	} {
		if err := step(in, s); err != nil {
			return nil, err
		}
	}
	return s, nil
}

// arguments returns the argv: entrypoint and command, behind the init script
// and the init process where those are asked for.
func arguments(in Input) []string {
	args := slices.Concat(in.Config.Entrypoint, in.Config.Cmd)
	if len(args) == 0 {
		return nil
	}
	if script := in.Config.InitScript; script != "" {
		// The script is an argument, so that nothing in it can be mistaken for
		// the line around it. exit without a status keeps that of the script.
		args = append([]string{"/bin/sh", "-c", initScript, "sh", script}, args...)
	}
	if WantsInit(in.HostConfig) {
		args = append([]string{InitPath, "--"}, args...)
	}
	return args
}

const initScript = `init=$1; shift; eval "$init" || exit; unset init; exec "$@"`

// WantsInit tells whether a container runs under an init process.
func WantsInit(h *types.HostConfig) bool {
	return h.Init != nil && *h.Init && !h.PidMode.IsHost() && !h.PidMode.IsContainer()
}

func workingDir(dir string) string {
	if dir == "" {
		return "/"
	}
	return path.Clean(dir)
}

// DefaultPath is the PATH of a container whose image sets none.
const DefaultPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

func environment(in Input) []string {
	env := []string{"PATH=" + DefaultPath}
	if in.Hostname != "" {
		env = append(env, "HOSTNAME="+in.Hostname)
	}
	if in.Config.Tty {
		env = append(env, "TERM=xterm")
	}
	return MergeEnv(env, in.Config.Env)
}

func setNamespaces(in Input, s *specs.Spec) error {
	h := in.HostConfig
	add := func(t specs.LinuxNamespaceType, path string) {
		s.Linux.Namespaces = append(s.Linux.Namespaces, specs.LinuxNamespace{Type: t, Path: path})
	}
	add(specs.MountNamespace, "")
	if !h.NetworkMode.IsHost() {
		add(specs.NetworkNamespace, in.NetNS)
	}
	if !h.UTSMode.IsHost() {
		add(specs.UTSNamespace, "")
	}
	if !h.IpcMode.IsHost() {
		add(specs.IPCNamespace, in.IpcNS)
	}
	if !h.PidMode.IsHost() {
		add(specs.PIDNamespace, in.PidNS)
	}
	// dockerd's default: private where there is only cgroup v2.
	if h.CgroupnsMode.IsPrivate() || h.CgroupnsMode.IsEmpty() && cgroup2() && !h.Privileged {
		add(specs.CgroupNamespace, "")
	}
	return nil
}

func setSysctls(in Input, s *specs.Spec) error {
	sysctls := map[string]string{}
	if in.HostConfig.NetworkMode.IsPrivate() && !in.HostConfig.NetworkMode.IsContainer() {
		// As dockerd: the processes of a container may bind any port and ping.
		sysctls["net.ipv4.ip_unprivileged_port_start"] = "0"
		sysctls["net.ipv4.ping_group_range"] = "0 2147483647"
	}
	maps.Copy(sysctls, in.HostConfig.Sysctls)
	s.Linux.Sysctl = sysctls
	return nil
}

func setLimits(in Input, s *specs.Spec) error {
	for _, l := range in.HostConfig.Ulimits {
		s.Process.Rlimits = append(s.Process.Rlimits, specs.POSIXRlimit{
			Type: rlimitName(l.Name), Soft: uint64(l.Soft), Hard: uint64(l.Hard),
		})
	}
	score, err := OOMScore(in.HostConfig.OomScoreAdj)
	if err != nil {
		return fmt.Errorf("cannot read the daemon's OOM score: %w", err)
	}
	s.Process.OOMScoreAdj = &score
	return nil
}
