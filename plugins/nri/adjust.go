package nri

import (
	"fmt"
	"maps"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/containerd/errdefs"
	"github.com/containerd/nri/pkg/adaptation"
	"github.com/containerd/nri/pkg/api"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/mount"

	"github.com/pouchfx/pouchfx/types"
)

// adjust does to the configuration what the NRI plugins ask for. What they
// agreed on is one adjustment: two that want different things are refused by
// NRI itself. The container that they were asked about has the environment that
// they want; the reply does not tell which variables they remove.
func (p *Plugin) adjust(c *types.ContainerCreateConfig, asked *api.Container, reply *adaptation.CreateContainerResponse) error {
	for _, u := range reply.Update {
		if !u.IgnoreFailure {
			return errdefs.ErrNotImplemented.WithMessage(fmt.Sprintf("an NRI plugin asks to update container %s: only the one that is made can be changed", u.ContainerId))
		}
	}
	a := reply.Adjust
	if a == nil {
		return nil
	}
	if !slices.Equal(c.Env, asked.Env) {
		c.Env = asked.Env
	}
	adjustAnnotations(c, a.Annotations)
	if len(a.Args) > 0 {
		c.Entrypoint, c.Cmd = slices.Clone(a.Args), nil
	}
	for _, l := range a.Rlimits {
		adjustUlimit(c.HostConfig, l)
	}
	if err := adjustMounts(c, a.Mounts); err != nil {
		return err
	}
	if err := p.keepHooks(c, a.Hooks); err != nil {
		return err
	}
	l := a.Linux
	if l == nil {
		return nil
	}
	if l.OomScoreAdj != nil {
		c.HostConfig.OomScoreAdj = int(l.OomScoreAdj.Value)
	}
	adjustSysctls(c.HostConfig, l.Sysctl)
	adjustResources(&c.HostConfig.Resources, l.Resources)
	return adjustDevices(c.HostConfig, l.Devices)
}

func adjustAnnotations(c *types.ContainerCreateConfig, annotations map[string]string) {
	for _, key := range slices.Sorted(maps.Keys(annotations)) { // removals come first
		if name, removed := api.IsMarkedForRemoval(key); removed {
			delete(c.SpecAnnotation, name)
			delete(c.HostConfig.Annotations, name)
			continue
		}
		if c.SpecAnnotation == nil {
			c.SpecAnnotation = map[string]string{}
		}
		c.SpecAnnotation[key] = annotations[key]
	}
}

func adjustSysctls(h *types.HostConfig, sysctls map[string]string) {
	for _, key := range slices.Sorted(maps.Keys(sysctls)) {
		if name, removed := api.IsMarkedForRemoval(key); removed {
			delete(h.Sysctls, name)
			continue
		}
		if h.Sysctls == nil {
			h.Sysctls = map[string]string{}
		}
		h.Sysctls[key] = sysctls[key]
	}
}

func adjustUlimit(h *types.HostConfig, l *api.POSIXRlimit) {
	name := strings.ToLower(strings.TrimPrefix(l.Type, "RLIMIT_"))
	h.Ulimits = slices.DeleteFunc(slices.Clone(h.Ulimits), func(u *container.Ulimit) bool { return u.Name == name })
	h.Ulimits = append(h.Ulimits, &container.Ulimit{Name: name, Hard: int64(l.Hard), Soft: int64(l.Soft)})
}

// adjustMounts adds mounts, and takes off those that the configuration asks
// for. A new one takes the place of another at its destination.
func adjustMounts(c *types.ContainerCreateConfig, mounts []*api.Mount) error {
	for _, m := range mounts {
		destination, removed := m.IsMarkedForRemoval()
		found := removeMount(c, destination)
		if removed {
			if !found {
				return errdefs.ErrNotImplemented.WithMessage(fmt.Sprintf("an NRI plugin removes the mount at %s: only mounts that the request has can be removed", destination))
			}
			continue
		}
		if err := addMount(c.HostConfig, m); err != nil {
			return err
		}
	}
	return nil
}

func removeMount(c *types.ContainerCreateConfig, destination string) (found bool) {
	at := func(target string) bool {
		same := path.Clean(target) == path.Clean(destination)
		found = found || same
		return same
	}
	h := c.HostConfig
	h.Binds = slices.DeleteFunc(slices.Clone(h.Binds), func(bind string) bool {
		fields := strings.Split(bind, ":")
		return at(fields[min(1, len(fields)-1)])
	})
	h.Mounts = slices.DeleteFunc(slices.Clone(h.Mounts), func(m mount.Mount) bool { return at(m.Target) })
	maps.DeleteFunc(h.Tmpfs, func(target, _ string) bool { return at(target) })
	maps.DeleteFunc(c.Volumes, func(target string, _ struct{}) bool { return at(target) })
	return found
}

func addMount(h *types.HostConfig, m *api.Mount) error {
	bound := m.Type == "bind" || slices.Contains(m.Options, "bind") || slices.Contains(m.Options, "rbind")
	switch {
	case bound:
		added := mount.Mount{Type: mount.TypeBind, Source: m.Source, Target: m.Destination}
		var options mount.BindOptions
		for _, o := range m.Options {
			switch o {
			case "ro":
				added.ReadOnly = true
			case "rw", "rbind":
			case "bind":
				options.NonRecursive = !slices.Contains(m.Options, "rbind")
			case "private", "rprivate", "shared", "rshared", "slave", "rslave":
				options.Propagation = mount.Propagation(o)
			default:
				return refuseMount(m, "the option "+o)
			}
		}
		if options != (mount.BindOptions{}) {
			added.BindOptions = &options
		}
		h.Mounts = append(h.Mounts, added)
	case m.Type == "tmpfs":
		if h.Tmpfs == nil {
			h.Tmpfs = map[string]string{}
		}
		h.Tmpfs[m.Destination] = strings.Join(m.Options, ",")
	default:
		return refuseMount(m, "the type "+m.Type)
	}
	return nil
}

func refuseMount(m *api.Mount, what string) error {
	return errdefs.ErrNotImplemented.WithMessage(fmt.Sprintf("an NRI plugin asks for a mount at %s with %s, which a container of Docker's API cannot have", m.Destination, what))
}

// adjustDevices adds devices of the host, which a configuration names by path.
func adjustDevices(h *types.HostConfig, devices []*api.LinuxDevice) error {
	for _, d := range devices {
		target, removed := d.IsMarkedForRemoval()
		h.Devices = slices.DeleteFunc(slices.Clone(h.Devices), func(m container.DeviceMapping) bool { return m.PathInContainer == target })
		if removed {
			continue
		}
		source, err := hostDevice(d)
		if err != nil {
			return err
		}
		h.Devices = append(h.Devices, container.DeviceMapping{PathOnHost: source, PathInContainer: target, CgroupPermissions: "rwm"})
	}
	return nil
}

// hostDevice returns the path of the host's device of a type and number.
func hostDevice(d *api.LinuxDevice) (string, error) {
	kind := map[string]string{"c": "char", "u": "char", "b": "block"}[d.Type]
	number := strconv.FormatInt(d.Major, 10) + ":" + strconv.FormatInt(d.Minor, 10)
	if kind != "" {
		text, err := os.ReadFile("/sys/dev/" + kind + "/" + number + "/uevent")
		if err == nil {
			for line := range strings.Lines(string(text)) {
				if name, ok := strings.CutPrefix(strings.TrimSpace(line), "DEVNAME="); ok {
					return path.Join("/dev", name), nil
				}
			}
		}
	}
	return "", errdefs.ErrNotFound.WithMessage(fmt.Sprintf("an NRI plugin asks for the device %s (%s %s), which this host does not have", d.Path, d.Type, number))
}

func adjustResources(r *container.Resources, a *api.LinuxResources) {
	if m := a.GetMemory(); m != nil {
		set(&r.Memory, m.Limit)
		set(&r.MemoryReservation, m.Reservation)
		set(&r.MemorySwap, m.Swap)
		if m.Swappiness != nil {
			swappiness := int64(m.Swappiness.Value)
			r.MemorySwappiness = &swappiness
		}
		if m.DisableOomKiller != nil {
			disable := m.DisableOomKiller.Value
			r.OomKillDisable = &disable
		}
	}
	if c := a.GetCpu(); c != nil {
		if (c.Quota != nil || c.Period != nil) && r.NanoCPUs != 0 { // the other way to say the same
			r.CPUQuota, r.CPUPeriod, r.NanoCPUs = r.NanoCPUs*cpuPeriod/1e9, cpuPeriod, 0
		}
		set(&r.CPUQuota, c.Quota)
		set(&r.CPURealtimeRuntime, c.RealtimeRuntime)
		setUnsigned(&r.CPUShares, c.Shares)
		setUnsigned(&r.CPUPeriod, c.Period)
		setUnsigned(&r.CPURealtimePeriod, c.RealtimePeriod)
		if c.Cpus != "" {
			r.CpusetCpus = c.Cpus
		}
		if c.Mems != "" {
			r.CpusetMems = c.Mems
		}
	}
	if pids := a.GetPids(); pids != nil {
		limit := pids.Limit
		r.PidsLimit = &limit
	}
}

func set(field *int64, v *api.OptionalInt64) {
	if v != nil {
		*field = v.Value
	}
}

func setUnsigned(field *int64, v *api.OptionalUInt64) {
	if v != nil {
		*field = int64(v.Value)
	}
}
