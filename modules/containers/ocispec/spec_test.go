package ocispec

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/api/types/container"
	specs "github.com/opencontainers/runtime-spec/specs-go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pouchfx/pouchfx/types"
)

func build(t *testing.T, change func(*Input)) (*specs.Spec, error) {
	t.Helper()
	in := Input{Config: &types.ContainerConfig{}, HostConfig: &types.HostConfig{NetworkMode: "none"}, Hostname: "host", CgroupsPath: "/p/id", Seccomp: true, Init: "/init"}
	in.Config.Cmd = []string{"cmd"}
	if change != nil {
		change(&in)
	}
	return Build(in)
}

func mustBuild(t *testing.T, change func(*Input)) *specs.Spec {
	t.Helper()
	s, err := build(t, change)
	require.NoError(t, err)
	return s
}

func TestAContainerIsConfinedByDefault(t *testing.T) {
	s := mustBuild(t, nil)
	assert.Contains(t, s.Linux.MaskedPaths, "/proc/kcore")
	assert.Contains(t, s.Linux.ReadonlyPaths, "/proc/sys")
	require.NotNil(t, s.Linux.Seccomp)
	assert.Equal(t, specs.ActErrno, s.Linux.Seccomp.DefaultAction)
	assert.Len(t, s.Process.Capabilities.Bounding, 14)
	assert.False(t, s.Linux.Resources.Devices[0].Allow)
	assert.Empty(t, s.Process.Capabilities.Inheritable)

	p := mustBuild(t, func(in *Input) { in.HostConfig.Privileged = true })
	assert.Empty(t, p.Linux.MaskedPaths)
	assert.Nil(t, p.Linux.Seccomp)
	assert.True(t, p.Linux.Resources.Devices[0].Allow)
}

func TestAUserWhoIsNotRootHasNoEffectiveCapabilities(t *testing.T) {
	s := mustBuild(t, func(in *Input) { in.User.UID = 1000 })
	assert.Empty(t, s.Process.Capabilities.Effective)
	assert.Empty(t, s.Process.Capabilities.Permitted)
	assert.NotEmpty(t, s.Process.Capabilities.Bounding)
}

func TestCapabilities(t *testing.T) {
	got, err := Capabilities(false, []string{"sys_ptrace"}, []string{"CAP_CHOWN"})
	require.NoError(t, err)
	assert.Contains(t, got, "CAP_SYS_PTRACE")
	assert.NotContains(t, got, "CAP_CHOWN")
	got, err = Capabilities(false, []string{"NET_ADMIN"}, []string{"ALL"})
	require.NoError(t, err)
	assert.Equal(t, []string{"CAP_NET_ADMIN"}, got)
	_, err = Capabilities(false, []string{"NONSENSE"}, nil)
	require.ErrorIs(t, err, errdefs.ErrInvalidArgument)
}

func TestArguments(t *testing.T) {
	on := true
	for name, c := range map[string]struct {
		change func(*Input)
		want   []string
	}{
		"entrypoint and command": {func(in *Input) { in.Config.Entrypoint = []string{"e", "1"} }, []string{"e", "1", "cmd"}},
		"init":                   {func(in *Input) { in.HostConfig.Init = &on }, []string{InitPath, "--", "cmd"}},
		"script":                 {func(in *Input) { in.Config.InitScript = "x" }, []string{"/bin/sh", "-c", initScript, "sh", "x", "cmd"}},
	} {
		assert.Equal(t, c.want, mustBuild(t, c.change).Process.Args, name)
	}
	_, err := build(t, func(in *Input) { in.Config.Cmd = nil })
	require.ErrorIs(t, err, errdefs.ErrInvalidArgument)
}

func TestNamespaces(t *testing.T) {
	has := func(s *specs.Spec, kind specs.LinuxNamespaceType) bool {
		return slices.ContainsFunc(s.Linux.Namespaces, func(n specs.LinuxNamespace) bool { return n.Type == kind })
	}
	s := mustBuild(t, nil)
	for _, kind := range []specs.LinuxNamespaceType{specs.NetworkNamespace, specs.PIDNamespace, specs.IPCNamespace, specs.UTSNamespace, specs.MountNamespace} {
		assert.True(t, has(s, kind), kind)
	}
	s = mustBuild(t, func(in *Input) {
		h := in.HostConfig
		h.NetworkMode, h.PidMode, h.IpcMode, h.UTSMode = "host", "host", "host", "host"
	})
	for _, kind := range []specs.LinuxNamespaceType{specs.NetworkNamespace, specs.PIDNamespace, specs.IPCNamespace, specs.UTSNamespace} {
		assert.False(t, has(s, kind), kind)
	}
	assert.Empty(t, s.Hostname)
	assert.Empty(t, s.Linux.Sysctl)
}

func TestResources(t *testing.T) {
	limit := int64(0)
	r, err := Resources(&types.Resources{Memory: 100, NanoCPUs: 1_500_000_000, PidsLimit: &limit, CpusetCpus: "0"})
	require.NoError(t, err)
	assert.EqualValues(t, 100, *r.Memory.Limit)
	assert.EqualValues(t, 200, *r.Memory.Swap)
	assert.EqualValues(t, 150_000, *r.CPU.Quota)
	assert.EqualValues(t, -1, *r.Pids.Limit)
	r, err = Resources(&types.Resources{})
	require.NoError(t, err)
	assert.Nil(t, r.Pids)
	assert.Nil(t, r.Memory.Limit)
}

func TestAMountReplacesTheDefaultOfItsDestination(t *testing.T) {
	s := mustBuild(t, func(in *Input) {
		in.Mounts = []specs.Mount{{Destination: "/dev/shm", Type: "tmpfs", Source: "mine", Options: []string{"rslave"}}}
	})
	var found []string
	for _, m := range s.Mounts {
		if m.Destination == "/dev/shm" {
			found = append(found, m.Source)
		}
	}
	assert.Equal(t, []string{"mine"}, found)
	assert.Equal(t, "rslave", s.Linux.RootfsPropagation)
}

func TestSecurityOptions(t *testing.T) {
	o, err := ParseSecurityOptions([]string{"no-new-privileges", "seccomp=unconfined", "label=disable"})
	require.NoError(t, err)
	assert.Equal(t, SecurityOptions{Seccomp: "unconfined", NoNewPrivileges: true}, o)
	for _, bad := range []string{"what", "what=ever", "no-new-privileges=perhaps", "label=type:x"} {
		_, err := ParseSecurityOptions([]string{bad})
		assert.ErrorIs(t, err, errdefs.ErrInvalidArgument, bad)
	}
	_, err = build(t, func(in *Input) { in.HostConfig.SecurityOpt = []string{"seccomp={}nonsense"} })
	require.ErrorIs(t, err, errdefs.ErrInvalidArgument)
	_, err = build(t, func(in *Input) {
		in.Seccomp = false
		in.HostConfig.SecurityOpt = []string{`seccomp={"defaultAction":"SCMP_ACT_ALLOW"}`}
	})
	require.ErrorIs(t, err, errdefs.ErrInvalidArgument)
}

func TestEnvironment(t *testing.T) {
	s := mustBuild(t, func(in *Input) { in.Config.Env, in.Config.Tty = []string{"PATH=/mine", "A=b=c", "HOSTNAME"}, true })
	assert.Equal(t, []string{"PATH=/mine", "TERM=xterm", "A=b=c"}, s.Process.Env)
}

func TestUsers(t *testing.T) {
	root := t.TempDir()
	require.NoError(t, os.MkdirAll(filepath.Join(root, "etc"), 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(root, "etc/real"), []byte("root:x:0:0::/root:/bin/sh\napp:x:1000:1001::/:/bin/sh\n"), 0o644))
	require.NoError(t, os.Symlink("/etc/real", filepath.Join(root, "etc/passwd")), "a link is the container's")
	require.NoError(t, os.WriteFile(filepath.Join(root, "etc/group"), []byte("root:x:0:\nwheel:x:10:root\napps:x:1001:\naudio:x:29:app\n"), 0o644))
	for text, want := range map[string]specs.User{
		"":          {AdditionalGids: []uint32{0, 10}},
		"app":       {UID: 1000, GID: 1001, AdditionalGids: []uint32{1001, 29}},
		"1000:10":   {UID: 1000, GID: 10, AdditionalGids: []uint32{10}},
		"4242":      {UID: 4242, AdditionalGids: []uint32{0}},
		"app:wheel": {UID: 1000, GID: 10, AdditionalGids: []uint32{10}},
	} {
		got, err := ResolveUser(root, text, nil)
		require.NoError(t, err, text)
		assert.Equal(t, want, got, text)
	}
	got, err := ResolveUser(root, "app", []string{"wheel", "77"})
	require.NoError(t, err)
	assert.ElementsMatch(t, []uint32{1001, 29, 10, 77}, got.AdditionalGids)
	_, err = ResolveUser(root, "nobody-here", nil)
	require.ErrorIs(t, err, errdefs.ErrInvalidArgument)
	require.NoError(t, os.Remove(filepath.Join(root, "etc/group")))
	require.NoError(t, os.Symlink("/dev/zero", filepath.Join(root, "etc/group")))
	_, err = ResolveUser(root, "", nil)
	require.NoError(t, err, "the host's /dev/zero is not in the container")
}

func TestDeviceRules(t *testing.T) {
	r, err := ParseDeviceRule("c 42:* rw")
	require.NoError(t, err)
	assert.EqualValues(t, 42, *r.Major)
	assert.EqualValues(t, -1, *r.Minor)
	for _, bad := range []string{"", "x 1:1 r", "c 1 r", "c 1:1 q", "c 1:1 rwmr", "c 99999999999:1 r"} {
		_, err := ParseDeviceRule(bad)
		assert.ErrorIs(t, err, errdefs.ErrInvalidArgument, bad)
	}
	_, err = build(t, func(in *Input) { in.HostConfig.Devices = []container.DeviceMapping{{PathOnHost: "/dev/nosuch"}} })
	require.ErrorIs(t, err, errdefs.ErrInvalidArgument)
}
