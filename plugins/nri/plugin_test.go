package nri

import (
	"context"
	"errors"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/containerd/errdefs"
	"github.com/containerd/nri/pkg/api"
	"github.com/containerd/nri/pkg/stub"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/mount"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"go.uber.org/zap/zaptest"

	"github.com/pouchfx/pouchfx/plugins"
	"github.com/pouchfx/pouchfx/plugins/when"
	"github.com/pouchfx/pouchfx/types"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// start starts the plugin on a socket of its own.
func start(t testing.TB, c Config) *Plugin {
	t.Helper()
	c.Socket = filepath.Join(t.TempDir(), "nri.sock")
	require.NoError(t, c.Validate())
	p, err := New(Params{Config: c, Log: zaptest.NewLogger(t)})
	require.NoError(t, err)
	require.NoError(t, p.PreStartHook())
	t.Cleanup(func() { assert.NoError(t, p.PreStopHook()) })
	return p
}

// external is an NRI plugin that connects as one in another process does.
type external struct {
	create func(*api.PodSandbox, *api.Container) (*api.ContainerAdjustment, []*api.ContainerUpdate, error)

	mu              sync.Mutex
	started, forgot []string
	synchronized    chan struct{}
	stub            stub.Stub
}

func (e *external) Synchronize(context.Context, []*api.PodSandbox, []*api.Container) ([]*api.ContainerUpdate, error) {
	close(e.synchronized)
	return nil, nil
}

func (e *external) CreateContainer(_ context.Context, pod *api.PodSandbox, c *api.Container) (*api.ContainerAdjustment, []*api.ContainerUpdate, error) {
	return e.create(pod, c)
}

func (e *external) StartContainer(_ context.Context, _ *api.PodSandbox, c *api.Container) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.started = append(e.started, c.Id)
	return nil
}

func (e *external) RemoveContainer(_ context.Context, _ *api.PodSandbox, c *api.Container) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.forgot = append(e.forgot, c.Id)
	return nil
}

// connect connects an NRI plugin whose adjustments are those of adjust.
func connect(t testing.TB, p *Plugin, idx, name string, adjust func(*api.Container) *api.ContainerAdjustment) *external {
	t.Helper()
	return connectWith(t, p, idx, name, func(_ *api.PodSandbox, c *api.Container) (*api.ContainerAdjustment, []*api.ContainerUpdate, error) {
		return adjust(c), nil, nil
	})
}

func connectWith(t testing.TB, p *Plugin, idx, name string, create func(*api.PodSandbox, *api.Container) (*api.ContainerAdjustment, []*api.ContainerUpdate, error)) *external {
	t.Helper()
	e := &external{create: create, synchronized: make(chan struct{})}
	var err error
	e.stub, err = stub.New(e, stub.WithSocketPath(p.config.Socket), stub.WithPluginIdx(idx), stub.WithPluginName(name), stub.WithOnClose(func() {}))
	require.NoError(t, err)
	require.NoError(t, e.stub.Start(t.Context()))
	t.Cleanup(e.stub.Stop)
	<-e.synchronized
	// It takes part from a moment on that NRI does not tell.
	require.Eventually(t, func() bool {
		p.recorder.begin(api.Event_CREATE_CONTAINER)
		_, err := p.runtime.Load().CreateContainer(t.Context(), &api.CreateContainerRequest{Pod: pod("probe", "probe", nil, nil), Container: created("probe", "probe", body())})
		seen := p.recorder.end()
		return err != nil || len(seen.failed) > 0 || slices.Contains(seen.answered, idx+"-"+name)
	}, 10*time.Second, time.Millisecond)
	return e
}

func body() *types.ContainerCreateConfig {
	c := &types.ContainerCreateConfig{HostConfig: &types.HostConfig{}, NetworkingConfig: &types.NetworkingConfig{}}
	c.Image, c.Env, c.Labels = "box", []string{"A=1", "B=2"}, map[string]string{"tier": "front"}
	return c
}

func asked(t testing.TB) context.Context {
	return plugins.WithRequest(t.Context(), plugins.Request{FrontEnd: plugins.FrontEndDocker, Name: "web"})
}

func TestAdjustmentsAreMadeInTheConfiguration(t *testing.T) {
	allowed, err := when.NewPattern("/opt/hooks/*")
	require.NoError(t, err)
	p := start(t, Config{Hooks: []*when.Pattern{allowed}})
	var got *api.Container
	connect(t, p, "10", "all", func(c *api.Container) *api.ContainerAdjustment {
		got = c
		a := &api.ContainerAdjustment{}
		a.AddEnv("A", "changed")
		a.AddEnv("C", "3")
		a.RemoveEnv("B")
		a.AddAnnotation("org.example/x", "y")
		a.RemoveAnnotation("old")
		a.AddMount(&api.Mount{Source: "/srv", Destination: "/data", Type: "bind", Options: []string{"rbind", "ro", "rslave"}})
		a.AddMount(&api.Mount{Source: "tmpfs", Destination: "/scratch", Type: "tmpfs", Options: []string{"size=1m"}})
		a.RemoveMount("/unwanted")
		a.AddDevice(&api.LinuxDevice{Path: "/dev/nothing", Type: "c", Major: 1, Minor: 3})
		a.AddRlimit("RLIMIT_NOFILE", 2048, 1024)
		a.SetLinuxSysctl("net.core.somaxconn", "512")
		a.SetLinuxMemoryLimit(64 << 20)
		a.SetLinuxCPUShares(512)
		a.SetLinuxCPUQuota(20000)
		a.SetLinuxCPUSetCPUs("0")
		a.SetLinuxPidLimits(32)
		a.SetLinuxOomScoreAdj(func(n int) *int { return &n }(500))
		a.AddHooks(&api.Hooks{CreateRuntime: []*api.Hook{{Path: "/opt/hooks/note", Args: []string{"note", "x"}}}})
		a.SetArgs([]string{"sh", "-c", "true"})
		return a
	})
	c := body()
	c.Cmd = []string{"false"}
	c.SpecAnnotation = map[string]string{"old": "1"}
	c.HostConfig.Binds = []string{"/a:/data:rw", "/b:/unwanted"}
	c.HostConfig.NanoCPUs = 1e9
	require.NoError(t, p.PreCreate(asked(t), c))

	assert.Equal(t, "web", got.Name)
	assert.Equal(t, []string{"false"}, got.Args)
	assert.Equal(t, "front", got.Labels["tier"])
	assert.Equal(t, c.SpecificID, got.Id)
	assert.Len(t, c.SpecificID, 64)
	assert.ElementsMatch(t, []string{"A=changed", "C=3"}, c.Env)
	assert.Equal(t, "y", c.SpecAnnotation["org.example/x"])
	assert.NotContains(t, c.SpecAnnotation, "old")
	h := c.HostConfig
	assert.Empty(t, h.Binds)
	assert.Equal(t, []mount.Mount{{Type: mount.TypeBind, Source: "/srv", Target: "/data", ReadOnly: true, BindOptions: &mount.BindOptions{Propagation: "rslave"}}}, h.Mounts)
	assert.Equal(t, map[string]string{"/scratch": "size=1m"}, h.Tmpfs)
	assert.Equal(t, []container.DeviceMapping{{PathOnHost: "/dev/null", PathInContainer: "/dev/nothing", CgroupPermissions: "rwm"}}, h.Devices)
	assert.Equal(t, []*container.Ulimit{{Name: "nofile", Hard: 2048, Soft: 1024}}, h.Ulimits)
	assert.Equal(t, map[string]string{"net.core.somaxconn": "512"}, h.Sysctls)
	assert.EqualValues(t, 64<<20, h.Memory)
	assert.EqualValues(t, 512, h.CPUShares)
	assert.Equal(t, []int64{20000, 100000, 0}, []int64{h.CPUQuota, h.CPUPeriod, h.NanoCPUs})
	assert.Equal(t, "0", h.CpusetCpus)
	assert.EqualValues(t, 32, *h.PidsLimit)
	assert.Equal(t, 500, h.OomScoreAdj)
	assert.Equal(t, []string{"sh", "-c", "true"}, c.Entrypoint)
	assert.Empty(t, c.Cmd)

	priorities, args, err := p.PreStart(t.Context(), &types.Container{ID: c.SpecificID, Name: "web", Config: &c.ContainerConfig, HostConfig: h, Annotations: c.SpecAnnotation})
	require.NoError(t, err)
	assert.Equal(t, []int{0}, priorities)
	assert.Equal(t, [][]string{{"/opt/hooks/note", "note", "x"}}, args)
}

func TestWhatCannotBeHadIsRefusedByName(t *testing.T) {
	for field, adjust := range map[string]func(*api.ContainerAdjustment){
		"linux.cgroupsPath":                       func(a *api.ContainerAdjustment) { a.SetLinuxCgroupsPath("/x") },
		"linux.resources.unified":                 func(a *api.ContainerAdjustment) { a.AddLinuxUnified("memory.high", "1") },
		"linux.resources.hugepageLimits":          func(a *api.ContainerAdjustment) { a.AddLinuxHugepageLimit("2MB", 1) },
		"linux.resources.rdtClass":                func(a *api.ContainerAdjustment) { a.SetLinuxRDTClass("x") },
		"CDI devices":                             func(a *api.ContainerAdjustment) { a.AddCDIDevice(&api.CDIDevice{Name: "x/y=z"}) },
		"poststop hooks":                          func(a *api.ContainerAdjustment) { a.AddHooks(&api.Hooks{Poststop: []*api.Hook{{Path: "/x"}}}) },
		"the hook /bin/sh run on the host: allow": func(a *api.ContainerAdjustment) { a.AddHooks(&api.Hooks{Prestart: []*api.Hook{{Path: "/bin/sh"}}}) },
		"the hook /bin/x with environment": func(a *api.ContainerAdjustment) {
			a.AddHooks(&api.Hooks{Prestart: []*api.Hook{{Path: "/bin/x", Env: []string{"A=1"}}}})
		},
		"a mount at /m with the type overlay": func(a *api.ContainerAdjustment) { a.AddMount(&api.Mount{Destination: "/m", Type: "overlay"}) },
		"a mount at /m with the option noexec": func(a *api.ContainerAdjustment) {
			a.AddMount(&api.Mount{Destination: "/m", Type: "bind", Options: []string{"noexec"}})
		},
		"removes the mount at /proc": func(a *api.ContainerAdjustment) { a.RemoveMount("/proc") },
		"the device /dev/x (c 99999:1), which this": func(a *api.ContainerAdjustment) {
			a.AddDevice(&api.LinuxDevice{Path: "/dev/x", Type: "c", Major: 99999, Minor: 1})
		},
		"a mode or an owner of the device /dev/n": func(a *api.ContainerAdjustment) {
			a.AddDevice(&api.LinuxDevice{Path: "/dev/n", Type: "c", Major: 1, Minor: 3, Uid: api.UInt32(uint32(1))})
		},
	} {
		t.Run(field, func(t *testing.T) {
			p := start(t, Config{})
			e := connect(t, p, "10", "odd", func(*api.Container) *api.ContainerAdjustment {
				a := &api.ContainerAdjustment{}
				adjust(a)
				return a
			})
			c := body()
			err := p.PreCreate(asked(t), c)
			require.ErrorContains(t, err, field)
			assert.Empty(t, c.SpecificID)
			assert.Len(t, e.forgot, 1, "it is told that nothing came of it")
		})
	}
}

func TestUpdatesOfOtherContainersAreRefusedUnlessTheyMayFail(t *testing.T) {
	p := start(t, Config{})
	update := &api.ContainerUpdate{ContainerId: "other"}
	update.SetLinuxCPUShares(1)
	connectWith(t, p, "10", "balancer", func(*api.PodSandbox, *api.Container) (*api.ContainerAdjustment, []*api.ContainerUpdate, error) {
		return nil, []*api.ContainerUpdate{update}, nil
	})
	require.ErrorContains(t, p.PreCreate(asked(t), body()), "update container other")
	update.SetIgnoreFailure()
	require.NoError(t, p.PreCreate(asked(t), body()))
}

func TestTwoThatWantTheSameFieldAreRefused(t *testing.T) {
	p := start(t, Config{})
	for _, name := range []string{"one", "two"} {
		connect(t, p, "10", name, func(c *api.Container) *api.ContainerAdjustment {
			a := &api.ContainerAdjustment{}
			if c.Name != "probe" {
				a.AddEnv("A", name)
			}
			return a
		})
	}
	err := p.PreCreate(asked(t), body())
	require.ErrorContains(t, err, "10-one")
	require.ErrorContains(t, err, "10-two")
}

func TestAPluginThatRefusesIsNamed(t *testing.T) {
	p := start(t, Config{})
	connectWith(t, p, "10", "guard", func(*api.PodSandbox, *api.Container) (*api.ContainerAdjustment, []*api.ContainerUpdate, error) {
		return nil, nil, errors.New("not on a Friday")
	})
	require.EqualError(t, p.PreCreate(asked(t), body()), `NRI plugin "10-guard": CreateContainer: not on a Friday`)
}

func TestAPluginThatHangsIsAnErrorAndThenGone(t *testing.T) {
	p := start(t, Config{})
	release := make(chan struct{})
	connectWith(t, p, "10", "slow", func(_ *api.PodSandbox, c *api.Container) (*api.ContainerAdjustment, []*api.ContainerUpdate, error) {
		if c.Name != "probe" {
			<-release
		}
		return nil, nil, nil
	})
	defer close(release)
	begin := time.Now()
	err := p.PreCreate(asked(t), body())
	require.ErrorContains(t, err, `NRI plugin "10-slow": CreateContainer: it does not answer and was disconnected: restart it`)
	assert.True(t, errdefs.IsUnavailable(err))
	assert.Less(t, time.Since(begin), 4*time.Second)
	require.NoError(t, p.PreCreate(asked(t), body()))
}

func TestAHookThatIsAbandonedLetsGo(t *testing.T) {
	p := start(t, Config{})
	release := make(chan struct{})
	connectWith(t, p, "10", "slow", func(_ *api.PodSandbox, c *api.Container) (*api.ContainerAdjustment, []*api.ContainerUpdate, error) {
		if c.Name != "probe" {
			<-release
		}
		return nil, nil, nil
	})
	defer close(release)
	ctx, cancel := context.WithTimeout(asked(t), 50*time.Millisecond)
	defer cancel()
	first := make(chan error)
	go func() { first <- p.PreCreate(asked(t), body()) }()
	require.Eventually(t, func() bool { return len(p.turn) == 1 }, 5*time.Second, time.Millisecond)
	require.ErrorContains(t, p.PreCreate(ctx, body()), "which another request is with")
	require.Error(t, <-first)
}

func TestAPluginThatLeavesIsMissedOnlyWhereItIsRequired(t *testing.T) {
	for _, required := range [][]string{nil, {"tagger"}, {"10-tagger"}} {
		p := start(t, Config{Required: required})
		e := connect(t, p, "10", "tagger", func(*api.Container) *api.ContainerAdjustment {
			a := &api.ContainerAdjustment{}
			a.AddEnv("TAG", "1")
			return a
		})
		c := body()
		require.NoError(t, p.PreCreate(asked(t), c))
		assert.Contains(t, c.Env, "TAG=1")

		e.stub.Stop()
		for range 2 { // the first time it is found out
			c = body()
			err := p.PreCreate(asked(t), c)
			if required == nil {
				require.NoError(t, err)
				assert.Equal(t, body(), c)
			} else {
				require.ErrorContains(t, err, `NRI plugin "`+required[0]+`" is required and takes no part: start it`)
			}
		}
	}
}

func TestAPluginThatDiesInTheMiddleIsMissedOnlyWhereItIsRequired(t *testing.T) {
	for _, required := range [][]string{nil, {"mortal"}} {
		p := start(t, Config{Required: required})
		var e *external
		release := make(chan struct{})
		defer close(release)
		e = connectWith(t, p, "10", "mortal", func(_ *api.PodSandbox, c *api.Container) (*api.ContainerAdjustment, []*api.ContainerUpdate, error) {
			if c.Name != "probe" {
				go e.stub.Stop()
				<-release // it never answers
			}
			return nil, nil, nil
		})
		err := p.PreCreate(asked(t), body())
		if required == nil {
			require.NoError(t, err)
		} else {
			require.ErrorContains(t, err, "is required and takes no part")
		}
	}
}

func TestUndoTellsAndRestores(t *testing.T) {
	p := start(t, Config{})
	e := connect(t, p, "10", "tagger", func(*api.Container) *api.ContainerAdjustment {
		a := &api.ContainerAdjustment{}
		a.AddEnv("TAG", "1")
		return a
	})
	c := body()
	require.NoError(t, p.PreCreate(asked(t), c))
	id := c.SpecificID
	require.NoError(t, p.UndoPreCreate(asked(t), c))
	assert.Equal(t, body(), c)
	assert.Equal(t, []string{id}, e.forgot)
}

func TestStartsAreTold(t *testing.T) {
	p := start(t, Config{})
	e := connect(t, p, "10", "seer", func(*api.Container) *api.ContainerAdjustment { return nil })
	c := &types.Container{ID: "x", Name: "web", Config: &types.ContainerConfig{}, HostConfig: &types.HostConfig{}}
	_, _, err := p.PreStart(asked(t), c)
	require.NoError(t, err)
	_, _, err = p.PreStart(plugins.WithRequest(t.Context(), plugins.Request{FrontEnd: plugins.FrontEndCRI}), c)
	require.NoError(t, err)
	assert.Equal(t, []string{"x"}, e.started, "containerd has NRI of its own for pods")
}

func TestNobodyElseBringsHooks(t *testing.T) {
	p := start(t, Config{})
	forged := map[string]string{hooksKey: `[{"path": "/bin/sh"}]`}
	c := body()
	c.SpecAnnotation = forged
	require.ErrorContains(t, p.PreCreate(asked(t), c), "the daemon's own")
	c = body()
	c.HostConfig.Annotations = forged
	require.ErrorContains(t, p.PreCreate(asked(t), c), "the daemon's own")

	_, err := p.PreUpdate(asked(t), io.NopCloser(strings.NewReader(`{"specannotation": {"`+hooksKey+`": "[]"}}`)))
	require.ErrorContains(t, err, "the daemon's own")
	const harmless = `{"Memory": 1}`
	out, err := p.PreUpdate(asked(t), io.NopCloser(strings.NewReader(harmless)))
	require.NoError(t, err)
	text, err := io.ReadAll(out)
	require.NoError(t, err)
	assert.Equal(t, harmless, string(text))

	_, _, err = p.PreStart(asked(t), &types.Container{ID: "x", Config: &types.ContainerConfig{}, HostConfig: &types.HostConfig{}, Annotations: forged})
	require.ErrorContains(t, err, "allow it with plugins.nri.hooks")
	assert.Error(t, p.allowed("/opt/hooks/../../bin/sh"))
}

func TestASocketThatIsInUseIsLeftAlone(t *testing.T) {
	p := start(t, Config{})
	second, err := New(Params{Config: p.config, Log: p.log})
	require.NoError(t, err)
	require.ErrorContains(t, second.PreStartHook(), "choose another socket")
	require.NoError(t, second.PreStopHook())
	connect(t, p, "10", "x", func(*api.Container) *api.ContainerAdjustment { return nil })
}

func TestWithoutNRIPluginsNothingChanges(t *testing.T) {
	p := start(t, Config{})
	c := body()
	require.NoError(t, p.PreCreate(asked(t), c))
	assert.Equal(t, body(), c)
}

func TestConfigurationsThatCannotBeAreRefused(t *testing.T) {
	for _, c := range []Config{{}, {Socket: "nri.sock"}, {Socket: "/x", PluginPath: "plugins"}} {
		assert.ErrorContains(t, c.Validate(), "write an absolute path")
	}
}
