package ocispec

import (
	"fmt"
	"os"

	"github.com/moby/moby/api/types/blkiodev"
	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/pouchfx/pouchfx/types"
)

// cpuPeriod is the one that NanoCPUs is expressed in, in microseconds.
const cpuPeriod = 100_000

func cgroup2() bool {
	_, err := os.Stat("/sys/fs/cgroup/cgroup.controllers")
	return err == nil
}

func setResources(in Input, s *specs.Spec) error {
	r, err := Resources(&in.HostConfig.Resources)
	if err != nil {
		return err
	}
	if in.Config.NetPriority > 0 {
		priority := uint32(in.Config.NetPriority)
		r.Network = &specs.LinuxNetwork{}
		for _, name := range interfaces {
			r.Network.Priorities = append(r.Network.Priorities, specs.LinuxInterfacePriority{Name: name, Priority: priority})
		}
	}
	s.Linux.Resources = r
	return nil
}

// interfaces are those whose priority NetPriority sets.
var interfaces = []string{"lo", "eth0"}

// Resources returns the cgroup limits that r asks for. What is zero in r is
// absent from the result, so that it serves to update a running container too.
func Resources(r *types.Resources) (*specs.LinuxResources, error) {
	blkio, err := blockIO(r)
	if err != nil {
		return nil, err
	}
	return &specs.LinuxResources{Memory: memory(r), CPU: cpu(r), Pids: pids(r), BlockIO: blkio}, nil
}

func memory(r *types.Resources) *specs.LinuxMemory {
	m := &specs.LinuxMemory{DisableOOMKiller: r.OomKillDisable}
	if r.Memory > 0 {
		m.Limit = &r.Memory
	}
	if r.MemoryReservation > 0 {
		m.Reservation = &r.MemoryReservation
	}
	if r.MemorySwap != 0 {
		m.Swap = &r.MemorySwap
	} else if r.Memory > 0 {
		swap := 2 * r.Memory // dockerd's default: as much swap as memory
		m.Swap = &swap
	}
	if n := r.MemorySwappiness; n != nil && *n >= 0 {
		swappiness := uint64(*n)
		m.Swappiness = &swappiness
	}
	return m
}

func cpu(r *types.Resources) *specs.LinuxCPU {
	c := &specs.LinuxCPU{Cpus: r.CpusetCpus, Mems: r.CpusetMems}
	if r.CPUShares > 0 {
		shares := uint64(r.CPUShares)
		c.Shares = &shares
	}
	if r.NanoCPUs > 0 {
		period, quota := uint64(cpuPeriod), r.NanoCPUs*cpuPeriod/1e9
		c.Period, c.Quota = &period, &quota
	}
	if r.CPUPeriod != 0 {
		period := uint64(r.CPUPeriod)
		c.Period = &period
	}
	if r.CPUQuota != 0 {
		c.Quota = &r.CPUQuota
	}
	if r.CPURealtimePeriod != 0 {
		period := uint64(r.CPURealtimePeriod)
		c.RealtimePeriod = &period
	}
	if r.CPURealtimeRuntime != 0 {
		c.RealtimeRuntime = &r.CPURealtimeRuntime
	}
	return c
}

func pids(r *types.Resources) *specs.LinuxPids {
	if r.PidsLimit == nil {
		return nil
	}
	limit := *r.PidsLimit
	if limit <= 0 {
		limit = -1 // without limit
	}
	return &specs.LinuxPids{Limit: &limit}
}

func blockIO(r *types.Resources) (*specs.LinuxBlockIO, error) {
	b := &specs.LinuxBlockIO{}
	if r.BlkioWeight > 0 {
		b.Weight = &r.BlkioWeight
	}
	for _, d := range r.BlkioWeightDevice {
		major, minor, err := blockDevice(d.Path)
		if err != nil {
			return nil, err
		}
		w := specs.LinuxWeightDevice{Weight: &d.Weight}
		w.Major, w.Minor = major, minor
		b.WeightDevice = append(b.WeightDevice, w)
	}
	for _, t := range []struct {
		from []*blkiodev.ThrottleDevice
		to   *[]specs.LinuxThrottleDevice
	}{
		{r.BlkioDeviceReadBps, &b.ThrottleReadBpsDevice}, {r.BlkioDeviceWriteBps, &b.ThrottleWriteBpsDevice},
		{r.BlkioDeviceReadIOps, &b.ThrottleReadIOPSDevice}, {r.BlkioDeviceWriteIOps, &b.ThrottleWriteIOPSDevice},
	} {
		for _, d := range t.from {
			major, minor, err := blockDevice(d.Path)
			if err != nil {
				return nil, err
			}
			throttle := specs.LinuxThrottleDevice{Rate: d.Rate}
			throttle.Major, throttle.Minor = major, minor
			*t.to = append(*t.to, throttle)
		}
	}
	return b, nil
}

func blockDevice(path string) (major, minor int64, err error) {
	var st unix.Stat_t
	if err := unix.Stat(path, &st); err != nil {
		return 0, 0, invalid("device %s: %v", path, err)
	}
	if st.Mode&unix.S_IFMT != unix.S_IFBLK {
		return 0, 0, invalid("device %s: not a block device", path)
	}
	return int64(unix.Major(uint64(st.Rdev))), int64(unix.Minor(uint64(st.Rdev))), nil
}

// CgroupController tells whether the host has a cgroup v1 controller.
func CgroupController(name string) bool {
	_, err := os.Stat(fmt.Sprintf("/sys/fs/cgroup/%s", name))
	return err == nil
}
