package mapping

import (
	"testing"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/mount"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"
	runtime "k8s.io/cri-api/pkg/apis/runtime/v1"

	"github.com/pouchfx/pouchfx/types"
)

type config = types.ContainerCreateConfig

func TestEnvKeepsOrderDuplicatesAndBytes(t *testing.T) {
	r := &runtime.CreateContainerRequest{Config: &runtime.ContainerConfig{Envs: []*runtime.KeyValue{
		{Key: "A", Value: []byte("1")}, {Key: "B", Value: []byte("\xff")}, {Key: "B", Value: []byte("\xff\xfe")}, {Key: "A", Value: []byte("2")}, {Key: "C"},
	}}}
	got, _ := mustApply(t, r, func(c *config) {
		require.Equal(t, []string{"A=1", "B=\xff", "B=\xff\xfe", "A=2", "C="}, c.Env)
		// Through JSON, reordered, one removed, one changed, one added with bytes.
		c.Env = []string{"C=", "B=\ufffd\ufffd", "A=1", "A=x=y", "D=\xff"}
	})
	var env []string
	for _, e := range got.Config.Envs {
		env = append(env, e.Key+"|"+string(e.Value))
	}
	assert.Equal(t, []string{"C|", "B|\xff\xfe", "A|1", "A|x=y", "D|\xff"}, env)
}

func TestTheImageIsChangedByName(t *testing.T) {
	r := full()
	got, _ := mustApply(t, r, func(c *config) { c.Image = "mirror/app:1" })
	assert.Equal(t, "mirror/app:1", got.Config.Image.Image)
	assert.Equal(t, "mirror/app:1", got.Config.Image.UserSpecifiedImage)
}

func TestAMountIsEditedInPlace(t *testing.T) {
	r := sent(t, "deployment")
	got, _ := mustApply(t, r, func(c *config) {
		m := c.HostConfig.Mounts
		m[0].Target = "/elsewhere"
		m[1].Source = "/other/config"
		m[2].BindOptions = nil // says nothing about the propagation
		m[0], m[1] = m[1], m[0]
	})
	want := proto.Clone(r).(*runtime.CreateContainerRequest).Config.Mounts
	want[0].ContainerPath, want[1].HostPath = "/elsewhere", "/other/config"
	want[0], want[1] = want[1], want[0]
	for i := range want {
		assert.True(t, proto.Equal(want[i], got.Config.Mounts[i]), "%v", got.Config.Mounts[i])
	}
}

func TestUsers(t *testing.T) {
	for user, want := range map[string]*runtime.LinuxContainerSecurityContext{
		"":        {},
		"7":       {RunAsUser: &runtime.Int64Value{Value: 7}},
		"7:8":     {RunAsUser: &runtime.Int64Value{Value: 7}, RunAsGroup: &runtime.Int64Value{Value: 8}},
		"0:0":     {RunAsUser: &runtime.Int64Value{}, RunAsGroup: &runtime.Int64Value{}},
		"www":     {RunAsUsername: "www"},
		"www:8":   {RunAsUsername: "www", RunAsGroup: &runtime.Int64Value{Value: 8}},
		"www:www": nil, ":8": nil, "7:-1": nil, "7:4294967296": nil,
	} {
		got, _, err := applied(t, full(), func(c *config) { c.User = user })
		if want == nil {
			assert.ErrorContains(t, err, "User: ", user)
			continue
		}
		require.NoError(t, err, user)
		s := got.Config.Linux.SecurityContext
		assert.Equal(t, want.RunAsUsername, s.RunAsUsername, user)
		assert.True(t, proto.Equal(want.RunAsUser, s.RunAsUser), user)
		assert.True(t, proto.Equal(want.RunAsGroup, s.RunAsGroup), user)
		assert.Equal(t, user, Config(got).User)
	}
}

func TestSignals(t *testing.T) {
	for text, want := range map[string]runtime.Signal{
		"SIGUSR1": runtime.Signal_SIGNAL_SIGUSR1, "usr1": runtime.Signal_SIGNAL_SIGUSR1, "9": runtime.Signal_SIGNAL_SIGKILL,
		"SIGRTMAX-1": runtime.Signal_SIGNAL_SIGRTMAXMINUS1, "": runtime.Signal_SIGNAL_RUNTIME_DEFAULT,
	} {
		got, _ := mustApply(t, full(), func(c *config) { c.StopSignal = text })
		assert.Equal(t, want, got.Config.StopSignal, text)
	}
	for n := range runtime.Signal_name {
		got, err := signal(signalName(runtime.Signal(n)))
		require.NoError(t, err)
		assert.EqualValues(t, n, got)
	}
}

func TestLimits(t *testing.T) {
	r := full()
	r.Config.Linux.Resources.MemorySwapLimitInBytes = r.Config.Linux.Resources.MemoryLimitInBytes
	got, _ := mustApply(t, r, func(c *config) { c.HostConfig.Memory, c.HostConfig.NanoCPUs = 2<<30, 15e8 })
	limits := got.Config.Linux.Resources
	assert.EqualValues(t, 2<<30, limits.MemorySwapLimitInBytes, "swap stays forbidden")
	assert.EqualValues(t, []int64{100_000, 150_000}, []int64{limits.CpuPeriod, limits.CpuQuota})
	got, _ = mustApply(t, r, func(c *config) { c.HostConfig.Memory, c.HostConfig.MemorySwap = 2<<30, -1 })
	assert.EqualValues(t, -1, got.Config.Linux.Resources.MemorySwapLimitInBytes)
	got, _ = mustApply(t, r, func(c *config) { c.HostConfig.OomScoreAdj = 0 })
	assert.Zero(t, got.Config.Linux.Resources.OomScoreAdj)
}

// One hook changes much that cannot be: it is told all of it, by name.
func TestAllThatCannotBeCarriedIsNamed(t *testing.T) {
	_, _, err := applied(t, full(), func(c *config) {
		c.HostConfig.RestartPolicy.Name = "always"
		c.Hostname = "other"
		c.Env = append(c.Env, "UNSET")
	})
	assert.EqualError(t, err, `cannot carry a change to CRI: Env: "UNSET" alone has no form in CRI: give it a value, or leave it out; `+
		`Hostname: it belongs to the pod, which exists already; HostConfig.RestartPolicy: it is kubelet's to decide`)
}

func TestRefusals(t *testing.T) {
	kubelets := sent(t, "deployment")
	for want, hook := range map[string]func(*config){
		"Labels: io.kubernetes.pod.uid is not a hook's to change":                func(c *config) { delete(c.Labels, "io.kubernetes.pod.uid") },
		"Labels: io.kubernetes.new is not a hook's to change":                    func(c *config) { c.Labels["io.kubernetes.new"] = "" },
		"SpecAnnotation: io.kubernetes.container.hash is not a hook's to change": func(c *config) { c.SpecAnnotation = nil },
		"HostConfig.Annotations: io.kubernetes.cri.x is not":                     func(c *config) { c.HostConfig.Annotations = map[string]string{"io.kubernetes.cri.x": ""} },
		"Image: it must not be empty":                                            func(c *config) { c.Image = "" },
		`Cmd: "\xff" is not UTF-8`:                                               func(c *config) { c.Cmd = []string{"\xff"} },
		`WorkingDir: "/a\x00" contains a NUL`:                                    func(c *config) { c.WorkingDir = "/a\x00" },
		`Env: "=x" is no variable`:                                               func(c *config) { c.Env = append(c.Env, "=x") },
		"Entrypoint: CRI cannot say that the image's":                            func(c *config) { c.Entrypoint = []string{} },
		"StopSignal: \"SIGODD\" is no signal":                                    func(c *config) { c.StopSignal = "SIGODD" },
		"HostConfig.GroupAdd: the group \"video\" is no number":                  func(c *config) { c.HostConfig.GroupAdd = []string{"video"} },
		`HostConfig.CapAdd: unknown capability "FLY"`:                            func(c *config) { c.HostConfig.CapAdd = []string{"CAP_FLY"} },
		"HostConfig.MaskedPaths: CRI cannot ask for the default":                 func(c *config) { c.HostConfig.MaskedPaths = nil },
		"HostConfig.NanoCPUs: it must be at least":                               func(c *config) { c.HostConfig.NanoCPUs, c.HostConfig.CPUQuota = 1e9, 5000 },
		"HostConfig.Ulimits: invalid ulimit name odd":                            func(c *config) { c.HostConfig.Ulimits = []*container.Ulimit{{Name: "odd"}} },
		"HostConfig.Ulimits: nofile=5:4: the soft":                               func(c *config) { c.HostConfig.Ulimits = []*container.Ulimit{{Name: "nofile", Soft: 5, Hard: 4}} },
		"HostConfig.Ulimits: one of them is null":                                func(c *config) { c.HostConfig.Ulimits = []*container.Ulimit{nil} },
		"HostConfig.OomScoreAdj: 2000 is not":                                    func(c *config) { c.HostConfig.OomScoreAdj = 2000 },
		"HostConfig.BlkioWeightDevice: one of them is null":                      func(c *config) { c.HostConfig.BlkioWeightDevice = weights{nil} },
		"HostConfig.BlkioDeviceReadBps: device /dev/none":                        func(c *config) { c.HostConfig.BlkioDeviceReadBps = throttles{{Path: "/dev/none"}} },
		"HostConfig.DeviceCgroupRules: invalid device cgroup rule":               func(c *config) { c.HostConfig.DeviceCgroupRules = []string{"x"} },
		"HostConfig.DeviceRequests: CRI takes the names of CDI devices alone": func(c *config) {
			c.HostConfig.DeviceRequests = []container.DeviceRequest{{Driver: "nvidia", Count: -1}}
		},
		`HostConfig.Devices: the device "" with the mode`:                        func(c *config) { c.HostConfig.Devices = []container.DeviceMapping{{}} },
		"HostConfig.NetworkMode: it belongs to the pod":                          func(c *config) { c.HostConfig.NetworkMode = "host" },
		`HostConfig.Binds: "data:/d": pods have volumes`:                         func(c *config) { c.HostConfig.Binds = []string{"data:/d"} },
		`HostConfig.Binds: "/a:/d:z": CRI has no shared SELinux label`:           func(c *config) { c.HostConfig.Binds = []string{"/a:/d:z"} },
		`HostConfig.Binds: "/a:/data": something is mounted there`:               func(c *config) { c.HostConfig.Binds = []string{"/a:/data"} },
		`HostConfig.Binds: "/a:/d:slave": CRI has no propagation "slave"`:        func(c *config) { c.HostConfig.Binds = []string{"/a:/d:slave"} },
		"HostConfig.Tmpfs: something is mounted there":                           func(c *config) { c.HostConfig.Tmpfs = map[string]string{"/data": ""} },
		`HostConfig.Mounts: the mount at "/data": CRI cannot change Consistency`: func(c *config) { c.HostConfig.Mounts[0].Consistency = mount.ConsistencyCached },
		`HostConfig.Mounts: the mount at "/new": a mount of type "volume"`:       func(c *config) { c.HostConfig.Mounts[0] = mount.Mount{Type: mount.TypeVolume, Target: "/new"} },
		`HostConfig.Mounts: the mount at "/new": its Source "x" is not an absolute`: func(c *config) {
			c.HostConfig.Mounts[0] = mount.Mount{Type: mount.TypeBind, Source: "x", Target: "/new"}
		},
		"HostConfig.ShmSize: it must be positive": func(c *config) { c.HostConfig.ShmSize = -1 },
	} {
		_, _, err := applied(t, kubelets, hook)
		assert.ErrorContains(t, err, want)
	}
	_, _, err := applied(t, sent(t, "static"), func(c *config) { c.HostConfig.Sysctls = map[string]string{"net.core.somaxconn": "5"} })
	assert.ErrorContains(t, err, "HostConfig.Sysctls: net.core.somaxconn would change the host's network")
	_, err = Apply(kubelets, Config(kubelets), &config{})
	assert.ErrorContains(t, err, "HostConfig and NetworkingConfig must not be nil")
}

func TestWarningsTellWhatMayNotWorkAsExpected(t *testing.T) {
	_, result := mustApply(t, full(), func(c *config) {
		c.Tty = true
		c.HostConfig.CgroupParent = "/other"
		c.HostConfig.ShmSize = 1 << 20
	})
	assert.Len(t, result.Warnings, 3)
}
