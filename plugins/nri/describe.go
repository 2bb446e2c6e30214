package nri

import (
	"maps"
	"strings"

	"github.com/containerd/nri/pkg/api"
	"github.com/moby/moby/api/types/container"

	"github.com/pouchfx/pouchfx/types"
)

// pod is the one of a container of Docker's API, which has none: NRI has no
// containers without, and NRI plugins look for annotations there, too.
func pod(id, name string, labels, annotations map[string]string) *api.PodSandbox {
	return &api.PodSandbox{
		Id: id, Uid: id, Name: name, Labels: maps.Clone(labels), Annotations: maps.Clone(annotations),
		Linux: &api.LinuxPodSandbox{},
	}
}

// annotations are all that the OCI spec will have.
func annotations(c *types.ContainerCreateConfig) map[string]string {
	all := map[string]string{}
	maps.Copy(all, c.HostConfig.Annotations)
	maps.Copy(all, c.SpecAnnotation)
	return all
}

// created describes a container to be made as far as its configuration does:
// neither what its image adds nor what every container has.
func created(id, name string, c *types.ContainerCreateConfig) *api.Container {
	described := describe(&c.ContainerConfig, c.HostConfig)
	described.Id, described.PodSandboxId, described.Name = id, id, name
	described.Annotations = annotations(c)
	described.Mounts = mounts(c.HostConfig)
	described.State = api.ContainerState_CONTAINER_CREATED
	return described
}

// started describes a container about to be started.
func started(c *types.Container) *api.Container {
	described := describe(c.Config, c.HostConfig)
	described.Id, described.PodSandboxId, described.Name = c.ID, c.ID, c.Name
	described.Annotations = maps.Clone(c.Annotations)
	for _, m := range c.Mounts {
		options := []string{"rw"}
		if !m.RW {
			options[0] = "ro"
		}
		described.Mounts = append(described.Mounts, &api.Mount{Destination: m.Destination, Type: string(m.Type), Source: m.Source, Options: options})
	}
	described.State = api.ContainerState_CONTAINER_CREATED
	return described
}

func describe(c *types.ContainerConfig, h *types.HostConfig) *api.Container {
	described := &api.Container{
		Labels: maps.Clone(c.Labels),
		Args:   append(append([]string{}, c.Entrypoint...), c.Cmd...),
		Env:    append([]string{}, c.Env...),
		Image:  &api.Image{Name: c.Image},
		Linux: &api.LinuxContainer{
			Resources: resources(&h.Resources), OomScoreAdj: api.Int(h.OomScoreAdj), Sysctl: maps.Clone(h.Sysctls),
		},
	}
	if described.Linux.Sysctl == nil {
		described.Linux.Sysctl = map[string]string{}
	}
	for _, l := range h.Ulimits {
		described.Rlimits = append(described.Rlimits, &api.POSIXRlimit{Type: "RLIMIT_" + strings.ToUpper(l.Name), Hard: uint64(l.Hard), Soft: uint64(l.Soft)})
	}
	for _, d := range h.Devices {
		described.Linux.Devices = append(described.Linux.Devices, &api.LinuxDevice{Path: d.PathInContainer})
	}
	return described
}

// mounts lists those that a configuration asks for, in the three ways in which
// it can.
func mounts(h *types.HostConfig) (all []*api.Mount) {
	for _, bind := range h.Binds {
		source, rest, ok := strings.Cut(bind, ":")
		if !ok {
			source, rest = "", source
		}
		destination, options, _ := strings.Cut(rest, ":")
		m := &api.Mount{Source: source, Destination: destination, Type: "bind"}
		if options != "" {
			m.Options = strings.Split(options, ",")
		}
		all = append(all, m)
	}
	for _, mount := range h.Mounts {
		m := &api.Mount{Source: mount.Source, Destination: mount.Target, Type: string(mount.Type), Options: []string{"rw"}}
		if mount.ReadOnly {
			m.Options[0] = "ro"
		}
		all = append(all, m)
	}
	for destination, options := range h.Tmpfs {
		m := &api.Mount{Source: "tmpfs", Destination: destination, Type: "tmpfs"}
		if options != "" {
			m.Options = strings.Split(options, ",")
		}
		all = append(all, m)
	}
	return all
}

func resources(r *container.Resources) *api.LinuxResources {
	d := &api.LinuxResources{
		Memory: &api.LinuxMemory{},
		Cpu:    &api.LinuxCPU{Cpus: r.CpusetCpus, Mems: r.CpusetMems},
	}
	if r.Memory != 0 {
		d.Memory.Limit = api.Int64(r.Memory)
	}
	if r.MemoryReservation != 0 {
		d.Memory.Reservation = api.Int64(r.MemoryReservation)
	}
	if r.MemorySwap != 0 {
		d.Memory.Swap = api.Int64(r.MemorySwap)
	}
	if r.MemorySwappiness != nil && *r.MemorySwappiness >= 0 {
		d.Memory.Swappiness = api.UInt64(uint64(*r.MemorySwappiness))
	}
	if r.OomKillDisable != nil {
		d.Memory.DisableOomKiller = api.Bool(*r.OomKillDisable)
	}
	if r.CPUShares != 0 {
		d.Cpu.Shares = api.UInt64(uint64(r.CPUShares))
	}
	quota, period := r.CPUQuota, r.CPUPeriod
	if r.NanoCPUs != 0 {
		quota, period = r.NanoCPUs*cpuPeriod/1e9, cpuPeriod
	}
	if quota != 0 {
		d.Cpu.Quota = api.Int64(quota)
	}
	if period != 0 {
		d.Cpu.Period = api.UInt64(uint64(period))
	}
	if r.CPURealtimeRuntime != 0 {
		d.Cpu.RealtimeRuntime = api.Int64(r.CPURealtimeRuntime)
	}
	if r.CPURealtimePeriod != 0 {
		d.Cpu.RealtimePeriod = api.UInt64(uint64(r.CPURealtimePeriod))
	}
	if r.PidsLimit != nil {
		d.Pids = &api.LinuxPids{Limit: *r.PidsLimit}
	}
	return d
}

// cpuPeriod is the kernel's default, in microseconds.
const cpuPeriod = 100_000
