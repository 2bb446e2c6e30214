package mapping

import (
	"errors"
	"fmt"
	"math"
	"reflect"
	"strings"

	"github.com/moby/moby/api/types/blkiodev"
	"github.com/moby/moby/api/types/container"
	specs "github.com/opencontainers/runtime-spec/specs-go"
	runtime "k8s.io/cri-api/pkg/apis/runtime/v1"

	"github.com/pouchfx/pouchfx/modules/containers/ocispec"
	"github.com/pouchfx/pouchfx/types"
)

// cpuPeriod is the one that NanoCPUs is expressed in, in microseconds.
const cpuPeriod = 100_000

func showLimits(r *runtime.CreateContainerRequest, c *types.ContainerCreateConfig) {
	from := r.GetConfig().GetLinux().GetResources()
	showResources(from, &c.HostConfig.Resources)
	c.HostConfig.OomScoreAdj = int(from.GetOomScoreAdj())
}

// showResources shows what both a container and an update can have.
func showResources(from *runtime.LinuxContainerResources, to *types.Resources) {
	to.CPUPeriod, to.CPUQuota, to.CPUShares = from.GetCpuPeriod(), from.GetCpuQuota(), from.GetCpuShares()
	to.CpusetCpus, to.CpusetMems = from.GetCpusetCpus(), from.GetCpusetMems()
	to.Memory, to.MemorySwap = from.GetMemoryLimitInBytes(), from.GetMemorySwapLimitInBytes()
}

// takeResources carries them.
func (e *edits) takeResources(prefix string, to func() *runtime.LinuxContainerResources, b, a *types.Resources) {
	quota := b.CPUQuota != a.CPUQuota || b.CPUPeriod != a.CPUPeriod
	take(e, prefix+"NanoCPUs", &b.NanoCPUs, a.NanoCPUs, func(n int64) error {
		if n < 1e7 || quota {
			return errors.New("it must be at least 1e7, and not be set together with CPUPeriod or CPUQuota")
		}
		to().CpuPeriod, to().CpuQuota = cpuPeriod, n/(1e9/cpuPeriod)
		return nil
	})
	// kubelet forbids swap by a limit of memory and swap that is that of memory.
	// It goes on to forbid it when a hook changes the one that it knows.
	noSwap := b.Memory != 0 && b.MemorySwap == b.Memory && a.MemorySwap == b.MemorySwap && a.Memory > 0
	take(e, prefix+"Memory", &b.Memory, a.Memory, func(n int64) error {
		to().MemoryLimitInBytes = n
		if noSwap {
			to().MemorySwapLimitInBytes = n
		}
		return nil
	})
	for _, f := range []struct {
		name   string
		before *int64
		after  int64
		write  func(to *runtime.LinuxContainerResources, n int64)
	}{
		{"CPUPeriod", &b.CPUPeriod, a.CPUPeriod, func(to *runtime.LinuxContainerResources, n int64) { to.CpuPeriod = n }},
		{"CPUQuota", &b.CPUQuota, a.CPUQuota, func(to *runtime.LinuxContainerResources, n int64) { to.CpuQuota = n }},
		{"CPUShares", &b.CPUShares, a.CPUShares, func(to *runtime.LinuxContainerResources, n int64) { to.CpuShares = n }},
		{"MemorySwap", &b.MemorySwap, a.MemorySwap, func(to *runtime.LinuxContainerResources, n int64) { to.MemorySwapLimitInBytes = n }},
	} {
		take(e, prefix+f.name, f.before, f.after, func(n int64) error {
			f.write(to(), n)
			return nil
		})
	}
	take(e, prefix+"CpusetCpus", &b.CpusetCpus, a.CpusetCpus, func(set string) error {
		to().CpusetCpus = set
		return nil
	})
	take(e, prefix+"CpusetMems", &b.CpusetMems, a.CpusetMems, func(set string) error {
		to().CpusetMems = set
		return nil
	})
}

func carryLimits(c *change) {
	b, a := c.before.HostConfig, c.after.HostConfig
	c.takeResources("HostConfig.", c.resources, &b.Resources, &a.Resources)
	take(&c.edits, "HostConfig.OomScoreAdj", &b.OomScoreAdj, a.OomScoreAdj, func(score int) error {
		if score < -1000 || score > 1000 {
			return fmt.Errorf("%d is not from -1000 to 1000", score)
		}
		c.resources().OomScoreAdj = int64(score)
		return nil
	})
	take(&c.edits, "HostConfig.CgroupParent", &b.CgroupParent, a.CgroupParent, func(parent string) error {
		own(&own(&c.request.SandboxConfig).Linux).CgroupParent = parent
		c.warn("HostConfig.CgroupParent was changed: kubelet does not count the container's use for its pod any more")
		return nil
	})
	take(&c.edits, "HostConfig.Ulimits", &b.Ulimits, a.Ulimits, c.carryUlimits)
	take(&c.edits, "HostConfig.Sysctls", &b.Sysctls, a.Sysctls, func(sysctls map[string]string) error {
		for name := range sysctls {
			if b.NetworkMode.IsHost() && strings.HasPrefix(name, "net.") {
				return fmt.Errorf("%s would change the host's network, which the pod has", name)
			}
		}
		c.extra.Sysctl = sysctls
		c.warn("HostConfig.Sysctls that begin with net. are set for the whole pod")
		return nil
	})
	take(&c.edits, "HostConfig.Umask", &b.Umask, a.Umask, func(mask *uint32) error {
		c.extra.Umask = mask
		return nil
	})
	c.carryFurtherLimits()
}

func (c *change) carryUlimits(limits []*container.Ulimit) error {
	for _, l := range limits {
		if l == nil {
			return errors.New("one of them is null")
		}
		if _, err := l.GetRlimit(); err != nil {
			return err
		}
		if l.Hard != -1 && (l.Soft == -1 || l.Soft > l.Hard) {
			return fmt.Errorf("%s: the soft limit is above the hard one", l)
		}
		c.extra.Rlimits = append(c.extra.Rlimits, specs.POSIXRlimit{
			Type: "RLIMIT_" + strings.ToUpper(l.Name), Soft: uint64(l.Soft), Hard: uint64(l.Hard),
		})
	}
	return nil
}

// carryFurtherLimits carries those that CRI has no fields for.
func (c *change) carryFurtherLimits() {
	var all types.Resources
	further(c, &all, "CPURealtimePeriod", func(r *types.Resources) *int64 { return &r.CPURealtimePeriod })
	further(c, &all, "CPURealtimeRuntime", func(r *types.Resources) *int64 { return &r.CPURealtimeRuntime })
	further(c, &all, "MemoryReservation", func(r *types.Resources) *int64 { return &r.MemoryReservation })
	further(c, &all, "MemorySwappiness", func(r *types.Resources) **int64 { return &r.MemorySwappiness })
	further(c, &all, "OomKillDisable", func(r *types.Resources) **bool { return &r.OomKillDisable })
	further(c, &all, "PidsLimit", func(r *types.Resources) **int64 { return &r.PidsLimit })
	further(c, &all, "BlkioWeight", func(r *types.Resources) *uint16 { return &r.BlkioWeight })
	further(c, &all, "BlkioWeightDevice", func(r *types.Resources) *weights { return &r.BlkioWeightDevice })
	further(c, &all, "BlkioDeviceReadBps", func(r *types.Resources) *throttles { return &r.BlkioDeviceReadBps })
	further(c, &all, "BlkioDeviceWriteBps", func(r *types.Resources) *throttles { return &r.BlkioDeviceWriteBps })
	further(c, &all, "BlkioDeviceReadIOps", func(r *types.Resources) *throttles { return &r.BlkioDeviceReadIOps })
	further(c, &all, "BlkioDeviceWriteIOps", func(r *types.Resources) *throttles { return &r.BlkioDeviceWriteIOps })
	limits, err := ocispec.Resources(&all)
	if err != nil {
		return // it was refused
	}
	take(&c.edits, "NetPriority", &c.before.NetPriority, c.after.NetPriority, func(n int64) error {
		limits.Network, err = netPriority(n)
		return err
	})
	if r := overlay(&specs.LinuxResources{}, limits); !reflect.ValueOf(*r).IsZero() {
		c.extra.Resources = r
	}
}

type (
	weights   = []*blkiodev.WeightDevice
	throttles = []*blkiodev.ThrottleDevice
)

// further carries one limit into all.
func further[T any](c *change, all *types.Resources, name string, field func(*types.Resources) *T) {
	b, a := &c.before.HostConfig.Resources, &c.after.HostConfig.Resources
	take(&c.edits, "HostConfig."+name, field(b), *field(a), func(value T) error {
		if v := reflect.ValueOf(value); v.Kind() == reflect.Slice {
			for i := range v.Len() {
				if v.Index(i).IsNil() {
					return errors.New("one of them is null")
				}
			}
		}
		var one types.Resources
		*field(&one) = value
		if _, err := ocispec.Resources(&one); err != nil {
			return err
		}
		*field(all) = value
		return nil
	})
}

func netPriority(n int64) (*specs.LinuxNetwork, error) {
	if n < 0 || n > math.MaxInt32 || !ocispec.CgroupController("net_prio") {
		return nil, fmt.Errorf("it must be from 0 to %d, on a host with the cgroup v1 controller net_prio", math.MaxInt32)
	}
	network := &specs.LinuxNetwork{}
	for _, name := range []string{"lo", "eth0"} {
		network.Priorities = append(network.Priorities, specs.LinuxInterfacePriority{Name: name, Priority: uint32(n)})
	}
	return network, nil
}
