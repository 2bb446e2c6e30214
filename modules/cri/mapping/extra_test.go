package mapping

import (
	"encoding/json"
	"os"
	"testing"

	"github.com/moby/moby/api/types/blkiodev"
	"github.com/moby/moby/api/types/container"
	specs "github.com/opencontainers/runtime-spec/specs-go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	runtime "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// furtherSettings asks for all that CRI has no field for.
func furtherSettings(c *config) {
	h := c.HostConfig
	c.SpecAnnotation = map[string]string{"a": "2", "new": "x"}
	h.Annotations = map[string]string{"new": "loses", "b": "1"}
	h.PidsLimit, h.OomKillDisable, h.MemorySwappiness, h.Umask = new(int64(0)), new(true), new(int64(10)), new(uint32(0o27))
	h.MemoryReservation, h.BlkioWeight, h.CPURealtimePeriod, h.CPURealtimeRuntime = 64<<20, 300, 1_000_000, 950_000
	h.Ulimits = []*container.Ulimit{{Name: "nofile", Soft: 5, Hard: -1}, {Name: "core"}}
	h.Sysctls = map[string]string{"net.core.somaxconn": "9"}
	h.DeviceCgroupRules = []string{"c 10:* rw"}
	h.Tmpfs = map[string]string{"/etc": "size=1m"}
	h.ShmSize = 1 << 20
	h.ConsoleSize = [2]uint{24, 80}
	c.HostConfig.SecurityOpt = []string{`seccomp={"defaultAction":"SCMP_ACT_ERRNO","syscalls":[{"names":["mount"],"action":"SCMP_ACT_ALLOW","includes":{"caps":["CAP_SYS_ADMIN"]}}]}`, "no-new-privileges"}
}

func TestExtraReachesTheSpecification(t *testing.T) {
	r := full()
	got, result := mustApply(t, r, furtherSettings)
	assert.False(t, result.Changed)
	assert.Equal(t, encoded(t, r), encoded(t, got))

	text, err := json.Marshal(result.Extra) // as it is kept until the start
	require.NoError(t, err)
	var extra Extra
	require.NoError(t, json.Unmarshal(text, &extra))
	s := podSpec()
	s.Annotations["a"] = "1"
	s.Process.Rlimits = []specs.POSIXRlimit{{Type: "RLIMIT_CORE", Soft: 1, Hard: 1}, {Type: "RLIMIT_CPU", Soft: 1, Hard: 1}}
	s.Process.Capabilities = &specs.LinuxCapabilities{Bounding: []string{"CAP_SYS_ADMIN"}}
	s.Mounts = append(s.Mounts, specs.Mount{Destination: "/dev/shm", Type: "bind", Source: "/sandbox/shm", Options: []string{"rbind"}})
	s.Linux.Resources = &specs.LinuxResources{
		Memory:  &specs.LinuxMemory{Limit: new(int64(1 << 30))},
		Devices: []specs.LinuxDeviceCgroup{{Access: "rwm"}},
	}
	require.NoError(t, extra.Edit(s))
	assert.Equal(t, map[string]string{"a": "2", "b": "1", "new": "x", "own": "1", "io.kubernetes.cri.sandbox-id": "s"}, s.Annotations)
	assert.Equal(t, []specs.POSIXRlimit{
		{Type: "RLIMIT_CPU", Soft: 1, Hard: 1}, {Type: "RLIMIT_NOFILE", Soft: 5, Hard: ^uint64(0)}, {Type: "RLIMIT_CORE"},
	}, s.Process.Rlimits)
	l := s.Linux.Resources
	assert.Equal(t, specs.LinuxMemory{
		Limit: new(int64(1 << 30)), Reservation: new(int64(64 << 20)), Swappiness: new(uint64(10)), DisableOOMKiller: new(true),
	}, *l.Memory)
	assert.Equal(t, specs.LinuxCPU{RealtimePeriod: new(uint64(1_000_000)), RealtimeRuntime: new(int64(950_000))}, *l.CPU)
	assert.EqualValues(t, -1, *l.Pids.Limit, "0 is none for Docker")
	assert.EqualValues(t, 300, *l.BlockIO.Weight)
	require.Len(t, l.Devices, 2)
	assert.EqualValues(t, -1, *l.Devices[1].Minor)
	assert.Equal(t, map[string]string{"net.core.somaxconn": "9"}, s.Linux.Sysctl)
	assert.EqualValues(t, 0o27, *s.Process.User.Umask)
	assert.Equal(t, specs.Box{Height: 24, Width: 80}, *s.Process.ConsoleSize)
	require.Len(t, s.Linux.Seccomp.Syscalls, 1, "the profile knows the capabilities")
	assert.Equal(t, specs.Mount{Destination: "/etc", Type: "tmpfs", Source: "tmpfs", Options: []string{"noexec", "nosuid", "nodev", "size=1048576"}}, s.Mounts[4], "before /etc/hosts")
	assert.Equal(t, "tmpfs", s.Mounts[len(s.Mounts)-1].Type, "in the place of the pod's /dev/shm")

	once, err := json.Marshal(s)
	require.NoError(t, err)
	require.NoError(t, extra.Edit(s))
	twice, err := json.Marshal(s)
	require.NoError(t, err)
	assert.JSONEq(t, string(once), string(twice))
}

func TestAnEmptySpecificationTakesExtra(t *testing.T) {
	_, result := mustApply(t, full(), furtherSettings)
	s := &specs.Spec{}
	require.NoError(t, result.Extra.Edit(s))
	assert.Empty(t, s.Linux.Seccomp.Syscalls)
	var none *Extra
	assert.True(t, none.Empty())
	require.NoError(t, none.Edit(&specs.Spec{}))
	s = &specs.Spec{}
	require.NoError(t, (&Extra{}).Edit(s))
	assert.Equal(t, &specs.Spec{}, s)
	assert.ErrorContains(t, (&Extra{Seccomp: "{"}).Edit(s), "seccomp profile of HostConfig.SecurityOpt")
}

func TestAnAnnotationIsRemovedFromTheSpecification(t *testing.T) {
	r := &runtime.CreateContainerRequest{Config: &runtime.ContainerConfig{Annotations: map[string]string{"own": "1", "a": "1"}}}
	got, result := mustApply(t, r, func(c *config) { delete(c.SpecAnnotation, "own") })
	assert.Equal(t, "1", got.Config.Annotations["own"], "kubelet gets back what it gave")
	text, err := json.Marshal(result.Extra)
	require.NoError(t, err)
	assert.JSONEq(t, `{"annotations":{"own":null}}`, string(text))
	s := podSpec()
	require.NoError(t, result.Extra.Edit(s))
	assert.NotContains(t, s.Annotations, "own")
}

// The numbers of a device are those of the host on which the hook ran.
func TestLimitsOfBlockDevices(t *testing.T) {
	device := ""
	entries, err := os.ReadDir("/dev")
	require.NoError(t, err)
	for _, e := range entries {
		if e.Type()&(os.ModeDevice|os.ModeCharDevice) == os.ModeDevice {
			device = "/dev/" + e.Name()
		}
	}
	if device == "" {
		t.Skip("this host shows no block device")
	}
	_, result := mustApply(t, full(), func(c *config) {
		c.HostConfig.BlkioDeviceReadBps = throttles{{Path: device, Rate: 5}}
		c.HostConfig.BlkioWeightDevice = []*blkiodev.WeightDevice{{Path: device, Weight: 50}}
	})
	assert.EqualValues(t, 5, result.Extra.Resources.BlockIO.ThrottleReadBpsDevice[0].Rate)
	assert.EqualValues(t, 50, *result.Extra.Resources.BlockIO.WeightDevice[0].Weight)
}
