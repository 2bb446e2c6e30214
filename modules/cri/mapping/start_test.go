package mapping

import (
	"encoding/json"
	"testing"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/api/types/mount"
	specs "github.com/opencontainers/runtime-spec/specs-go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	runtime "k8s.io/cri-api/pkg/apis/runtime/v1"

	"github.com/pouchfx/pouchfx/modules/registry"
	"github.com/pouchfx/pouchfx/types"
)

// podSpec is a specification as containerd makes it for a pod's container.
func podSpec() *specs.Spec {
	return &specs.Spec{
		Process:     &specs.Process{Env: []string{"PATH=/bin", "HOSTNAME=pod", "A=1"}},
		Annotations: map[string]string{"io.kubernetes.cri.sandbox-id": "s", "own": "1"},
		Mounts: []specs.Mount{
			{Destination: "/proc", Type: "proc", Source: "proc"},
			{Destination: "/dev", Type: "tmpfs", Source: "tmpfs"},
			{Destination: "/sys/fs/cgroup", Type: "cgroup", Source: "cgroup"},
			{Destination: "/data", Type: "bind", Source: "/srv/data", Options: []string{"rbind", "rslave", "ro", "noexec"}, UIDMappings: []specs.LinuxIDMapping{{Size: 5}}},
			{Destination: "/etc/hosts", Type: "bind", Source: "/k/hosts", Options: []string{"rbind", "rprivate", "rw"}},
			{Destination: "/tmp", Type: "tmpfs", Source: "tmpfs", Options: []string{"nodev", "size=5"}},
			{Destination: "/data/deep", Type: "bind", Source: "/srv/deep", Options: []string{"rbind", "rprivate", "rw"}},
		},
		Linux: &specs.Linux{},
	}
}

func started(t *testing.T, s *specs.Spec, hook func(*types.Container), hooks ...registry.RuntimeHook) error {
	t.Helper()
	c := Container("id", &runtime.CreateContainerRequest{Config: &runtime.ContainerConfig{
		Metadata: &runtime.ContainerMetadata{Name: "app"}, Image: &runtime.ImageSpec{Image: "sha256:1", UserSpecifiedImage: "app:1"},
	}}, s, "/rootfs")
	assert.Equal(t, "app", c.Name)
	assert.Equal(t, "app:1", c.Image)
	assert.Equal(t, "/rootfs", c.BaseFS)
	assert.NotNil(t, c.NetworkSettings)
	if hook != nil {
		hook(c)
	}
	return EditStart(s, c, hooks)
}

func TestAStartThatNobodyChangesIsAsItWas(t *testing.T) {
	s := podSpec()
	require.NoError(t, started(t, s, nil))
	assert.Equal(t, podSpec(), s)
	empty := &specs.Spec{}
	require.NoError(t, EditStart(empty, Container("", nil, empty, ""), nil))
}

func TestAStartShowsTheCommandThatWillRun(t *testing.T) {
	s := podSpec()
	s.Process.Args = []string{"/image/run", "-x"}
	c := Container("id", nil, s, "")
	assert.Equal(t, s.Process.Args, append(c.Config.Entrypoint, c.Config.Cmd...), "the image's")
	c = Container("id", &runtime.CreateContainerRequest{Config: &runtime.ContainerConfig{Command: []string{"/image/run"}, Args: []string{"-x"}}}, s, "")
	assert.Equal(t, s.Process.Args, append(c.Config.Entrypoint, c.Config.Cmd...), "the request's")
}

func TestAStartShowsBindsAndTmpfs(t *testing.T) {
	c := Container("id", nil, podSpec(), "")
	assert.Equal(t, []types.MountPoint{
		{Type: mount.TypeBind, Source: "/srv/data", Destination: "/data", Propagation: "rslave"},
		{Type: mount.TypeBind, Source: "/k/hosts", Destination: "/etc/hosts", RW: true, Propagation: "rprivate"},
		{Type: mount.TypeTmpfs, Destination: "/tmp", Mode: "nodev,size=5", RW: true},
		{Type: mount.TypeBind, Source: "/srv/deep", Destination: "/data/deep", RW: true, Propagation: "rprivate"},
	}, c.Mounts)
}

func TestAStartTakesEnvMountsAndAnnotations(t *testing.T) {
	s := podSpec()
	edit := func(c *types.Container) {
		c.Config.Env = append(c.Config.Env, "A=2", "B=3", "HOSTNAME")
		c.Annotations["own"], c.Annotations["new"] = "2", "x"
		c.Mounts[0].RW = true
		c.Mounts[1].Source = "/other/hosts"
		c.Mounts[2].Mode = "size=6"
		c.Mounts = append(c.Mounts[:3:3], types.MountPoint{Type: mount.TypeBind, Source: "/lib", Destination: "/data/lib"},
			types.MountPoint{Type: mount.TypeTmpfs, Destination: "/scratch", RW: true})
		c.HostConfig.Privileged = true // ignored, as for Docker's containers
	}
	require.NoError(t, started(t, s, edit))
	assert.Equal(t, []string{"PATH=/bin", "A=2", "B=3"}, s.Process.Env)
	assert.Equal(t, map[string]string{"io.kubernetes.cri.sandbox-id": "s", "own": "2", "new": "x"}, s.Annotations)
	assert.Equal(t, []specs.Mount{
		{Destination: "/data", Type: "bind", Source: "/srv/data", Options: []string{"rbind", "rslave", "noexec", "rw"}, UIDMappings: []specs.LinuxIDMapping{{Size: 5}}},
		{Destination: "/etc/hosts", Type: "bind", Source: "/other/hosts", Options: []string{"rbind", "rprivate", "rw"}},
		{Destination: "/tmp", Type: "tmpfs", Source: "tmpfs", Options: []string{"size=6"}},
		{Destination: "/data/lib", Type: "bind", Source: "/lib", Options: []string{"rbind", "rprivate", "ro"}},
		{Destination: "/scratch", Type: "tmpfs", Source: "tmpfs"},
	}, s.Mounts[3:])
	once, err := json.Marshal(s)
	require.NoError(t, err)
	require.NoError(t, started(t, s, func(c *types.Container) {
		c.Config.Env = append(c.Config.Env, "A=2", "B=3")
		c.Mounts = append(c.Mounts, types.MountPoint{Type: mount.TypeBind, Source: "/lib", Destination: "/data/lib"})
	}))
	twice, err := json.Marshal(s)
	require.NoError(t, err)
	assert.JSONEq(t, string(once), string(twice), "a start that is tried again")
}

func TestAMountIsMadeBeforeWhatIsBelowIt(t *testing.T) {
	s := podSpec()
	require.NoError(t, started(t, s, func(c *types.Container) {
		c.Mounts = append(c.Mounts, types.MountPoint{Type: mount.TypeBind, Source: "/e", Destination: "/etc", RW: true, Propagation: "rshared"})
	}))
	var order []string
	for _, m := range s.Mounts {
		order = append(order, m.Destination)
	}
	assert.Equal(t, []string{"/proc", "/dev", "/sys/fs/cgroup", "/data", "/etc", "/etc/hosts", "/tmp", "/data/deep"}, order)
	assert.Equal(t, "rshared", s.Linux.RootfsPropagation)
}

func TestAStartRefusesWhatItCannotDo(t *testing.T) {
	add := func(p types.MountPoint) func(*types.Container) {
		return func(c *types.Container) { c.Mounts = append(c.Mounts, p) }
	}
	for want, hook := range map[string]func(*types.Container){
		"Annotations: io.kubernetes.cri.sandbox-id": func(c *types.Container) { delete(c.Annotations, "io.kubernetes.cri.sandbox-id") },
		`invalid environment variable: "="`:         func(c *types.Container) { c.Config.Env = append(c.Config.Env, "=x") },
		"volume v on /v":                            add(types.MountPoint{Type: mount.TypeVolume, Name: "v", Destination: "/v"}),
		`mount type unknown: "image"`:               add(types.MountPoint{Type: mount.TypeImage, Destination: "/v"}),
		`invalid source "x"`:                        add(types.MountPoint{Type: mount.TypeBind, Source: "x", Destination: "/v"}),
		`invalid mount path: "v"`:                   add(types.MountPoint{Type: mount.TypeBind, Source: "/x", Destination: "v"}),
		`invalid mount path: "//"`:                  add(types.MountPoint{Type: mount.TypeTmpfs, Destination: "//"}),
		`invalid propagation "odd"`:                 add(types.MountPoint{Type: mount.TypeBind, Source: "/x", Destination: "/v", Propagation: "odd"}),
	} {
		err := started(t, podSpec(), hook)
		assert.ErrorContains(t, err, want)
		assert.ErrorIs(t, err, errdefs.ErrInvalidArgument)
	}
}

func TestRuntimeHooksComeOnceBehindOthers(t *testing.T) {
	s := podSpec()
	s.Hooks = &specs.Hooks{CreateRuntime: []specs.Hook{{Path: "/cdi"}}}
	ours := registry.RuntimeHook{Priority: 5, Path: "/bin/a", Args: []string{"a", "x"}}
	for range 2 {
		require.NoError(t, started(t, s, nil, ours, ours)) // two plugins may want the same
		require.Len(t, s.Hooks.CreateRuntime, 3)
	}
	hook := s.Hooks.CreateRuntime[1]
	assert.Equal(t, "/bin/a", hook.Path)
	assert.Equal(t, []string{"a", "x"}, hook.Args)
	assert.Len(t, hook.Env, 1, "not the daemon's environment")
	assert.Equal(t, 60, *hook.Timeout)
}
