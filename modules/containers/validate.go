package containers

import (
	"runtime"
	"slices"
	"strconv"
	"strings"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/sys/signal"

	"github.com/pouchfx/pouchfx/modules/containers/ocispec"
	"github.com/pouchfx/pouchfx/types"
)

// validate checks a container's configuration as it is after the hooks, and
// returns the warnings that the client gets. What Docker knows and this daemon
// does not do is refused by name.
func validate(c *types.ContainerCreateConfig) (warnings []string, err error) {
	for _, check := range []func(*types.ContainerCreateConfig) error{
		refuseUnsupported, validateConfig, validateHost, validateNetwork,
	} {
		if err := check(c); err != nil {
			return nil, err
		}
	}
	if err := validateResources(&c.HostConfig.Resources); err != nil {
		return nil, err
	}
	h := c.HostConfig
	if len(h.PortBindings) > 0 && (h.NetworkMode.IsHost() || h.NetworkMode.IsNone()) {
		warnings = append(warnings, "Published ports are discarded when using "+string(h.NetworkMode)+" network mode")
	}
	if got, err := ocispec.OOMScore(h.OomScoreAdj); err == nil && got != h.OomScoreAdj && h.OomScoreAdj != 0 {
		warnings = append(warnings, "OomScoreAdj "+strconv.Itoa(h.OomScoreAdj)+" is raised to "+strconv.Itoa(got)+": the daemon lacks CAP_SYS_RESOURCE")
	}
	return warnings, nil
}

// refuseUnsupported names a setting that would otherwise be dropped.
func refuseUnsupported(c *types.ContainerCreateConfig) error {
	h := c.HostConfig
	for _, s := range []struct {
		name  string
		given bool
	}{
		{"--gpus (HostConfig.DeviceRequests)", len(h.DeviceRequests) > 0},
		{"HostConfig.Isolation " + string(h.Isolation), !h.Isolation.IsDefault()},
		{"--storage-opt (HostConfig.StorageOpt)", len(h.StorageOpt) > 0},
		{"HostConfig.UsernsMode " + string(h.UsernsMode), h.UsernsMode != "" && !h.UsernsMode.IsHost()},
		// On networks that users make, links belong to endpoints.
		{"HostConfig.Links", len(h.Links) > 0 && !h.NetworkMode.IsUserDefined()},
		{"HostConfig.Cgroup", h.Cgroup != ""},
		{"HostConfig.CpuCount", h.CPUCount != 0},
		{"HostConfig.CpuPercent", h.CPUPercent != 0},
		{"HostConfig.IOMaximumIOps", h.IOMaximumIOps != 0},
		{"HostConfig.IOMaximumBandwidth", h.IOMaximumBandwidth != 0},
		{"HostConfig.Runtime " + h.Runtime, h.Runtime != "" && h.Runtime != "runc" && h.Runtime != "io.containerd.runc.v2"},
		{"NetworkDisabled", c.NetworkDisabled && h.NetworkMode.IsHost()},
	} {
		if s.given {
			return unsupported("%s is not supported by this daemon", s.name)
		}
	}
	if c.NetPriority != 0 && !ocispec.CgroupController("net_prio") {
		return unsupported("NetPriority needs the cgroup v1 controller net_prio, which this host does not have")
	}
	return nil
}

func validateConfig(c *types.ContainerCreateConfig) error {
	switch {
	case c.SpecificID != "" && !validID().MatchString(c.SpecificID):
		return invalid("invalid SpecificID %q: use 64 hexadecimal digits in lower case", c.SpecificID)
	case c.NetPriority < 0 || c.NetPriority > 1<<31-1:
		return invalid("invalid NetPriority %d: use 0 to %d", c.NetPriority, 1<<31-1)
	case len(c.Hostname) > 63:
		return invalid("invalid hostname %q: at most 63 characters", c.Hostname)
	case c.WorkingDir != "" && !strings.HasPrefix(c.WorkingDir, "/"):
		return invalid("the working directory '%s' is invalid, it needs to be an absolute path", c.WorkingDir)
	case c.StopTimeout != nil && *c.StopTimeout < -1:
		return invalid("invalid StopTimeout %d: use -1 for no limit, or seconds", *c.StopTimeout)
	}
	if err := validateHealth(c.Healthcheck); err != nil {
		return err
	}
	if c.StopSignal != "" {
		if _, err := signal.ParseSignal(c.StopSignal); err != nil {
			return invalid("Invalid signal: %s", c.StopSignal)
		}
	}
	for _, e := range c.Env {
		if name, _, _ := strings.Cut(e, "="); name == "" || strings.ContainsRune(e, 0) {
			return invalid("invalid environment variable: %s=", name) // its value is not for the log
		}
	}
	for _, text := range slices.Concat(c.Entrypoint, c.Cmd, []string{c.InitScript, c.User, c.Hostname, c.Domainname}) {
		if strings.ContainsRune(text, 0) {
			return invalid("%q contains a NUL", text)
		}
	}
	return nil
}

func validateHost(c *types.ContainerCreateConfig) error {
	h := c.HostConfig
	switch {
	case !h.PidMode.Valid():
		return invalid("invalid PID mode: %s", h.PidMode)
	case !h.UTSMode.Valid():
		return invalid("invalid UTS mode: %s", h.UTSMode)
	case !h.IpcMode.Valid():
		return invalid("invalid IPC mode: %s", h.IpcMode)
	case !h.CgroupnsMode.Valid():
		return invalid("invalid cgroup namespace mode: %s", h.CgroupnsMode)
	case h.UTSMode.IsHost() && c.Hostname != "":
		return invalid("conflicting options: hostname and the UTS mode")
	case h.AutoRemove && !h.RestartPolicy.IsNone():
		return invalid("can't create 'AutoRemove' container with restart policy")
	case h.OomScoreAdj < -1000 || h.OomScoreAdj > 1000:
		return invalid("Invalid value %d, range for oom score adj is [-1000, 1000]", h.OomScoreAdj)
	case h.ShmSize < 0:
		return invalid("SHM size can not be less than 0")
	case h.Init != nil && *h.Init && (h.PidMode.IsHost() || h.PidMode.IsContainer()):
		return invalid("conflicting options: --init and the PID mode %s", h.PidMode)
	case strings.ContainsRune(h.CgroupParent, 0) || slices.Contains(strings.Split(h.CgroupParent, "/"), ".."):
		return invalid("invalid CgroupParent %q", h.CgroupParent)
	}
	if err := container.ValidateRestartPolicy(h.RestartPolicy); err != nil {
		return invalid("%v", err)
	}
	if _, err := ocispec.Capabilities(h.Privileged, h.CapAdd, h.CapDrop); err != nil {
		return err
	}
	if _, err := ocispec.ParseSecurityOptions(h.SecurityOpt); err != nil {
		return err
	}
	for _, d := range h.Devices {
		if d.CgroupPermissions != "" && !ocispec.ValidDeviceMode(d.CgroupPermissions) {
			return invalid("invalid device mode: %s", d.CgroupPermissions)
		}
	}
	for _, rule := range h.DeviceCgroupRules {
		if _, err := ocispec.ParseDeviceRule(rule); err != nil {
			return err
		}
	}
	for key := range h.Sysctls {
		if h.NetworkMode.IsHost() && strings.HasPrefix(key, "net.") {
			return invalid("sysctl '%s' not allowed in host network namespace", key)
		}
	}
	for _, extra := range h.ExtraHosts {
		if _, _, err := parseExtraHost(extra); err != nil {
			return err
		}
	}
	_, err := logOptions(h.LogConfig)
	return err
}

// minMemory is the least that a container can start with.
const minMemory = 6 << 20

// validateResources checks limits, as they are given or after an update.
func validateResources(r *types.Resources) error {
	cpus := int64(runtime.NumCPU())
	switch {
	case r.Memory != 0 && r.Memory < minMemory:
		return invalid("Minimum memory limit allowed is 6MB")
	case r.Memory > 0 && r.MemorySwap > 0 && r.MemorySwap < r.Memory:
		return invalid("Minimum memoryswap limit should be larger than memory limit, see usage")
	case r.Memory == 0 && r.MemorySwap > 0:
		return invalid("You should always set the Memory limit when using Memoryswap limit, see usage")
	case r.MemorySwap < -1:
		return invalid("invalid MemorySwap %d: use -1 for no limit", r.MemorySwap)
	case r.MemorySwappiness != nil && (*r.MemorySwappiness < -1 || *r.MemorySwappiness > 100):
		return invalid("Invalid value: %d, valid memory swappiness range is 0-100", *r.MemorySwappiness)
	case r.MemoryReservation != 0 && r.MemoryReservation < minMemory:
		return invalid("Minimum memory reservation allowed is 6MB")
	case r.Memory > 0 && r.MemoryReservation > r.Memory:
		return invalid("Minimum memory limit can not be less than memory reservation limit, see usage")
	case r.NanoCPUs > 0 && (r.CPUPeriod > 0 || r.CPUQuota > 0):
		return invalid("Conflicting options: Nano CPUs and CPU Period or CPU Quota cannot both be set")
	case r.NanoCPUs < 0 || r.NanoCPUs > cpus*1e9:
		return invalid("range of CPUs is from 0.01 to %d.00, as there are only %d CPUs available", cpus, cpus)
	case r.NanoCPUs > 0 && r.NanoCPUs < 1e7:
		return invalid("range of CPUs is from 0.01 to %d.00, as there are only %d CPUs available", cpus, cpus)
	case r.CPUShares < 0:
		return invalid("invalid CPU shares (%d): value must be a positive integer", r.CPUShares)
	case r.CPUPeriod != 0 && (r.CPUPeriod < 1000 || r.CPUPeriod > 1000000):
		return invalid("CPU cfs period can not be less than 1ms (i.e. 1000) or larger than 1s (i.e. 1000000)")
	case r.CPUQuota > 0 && r.CPUQuota < 1000:
		return invalid("CPU cfs quota can not be less than 1ms (i.e. 1000)")
	case r.BlkioWeight > 0 && (r.BlkioWeight < 10 || r.BlkioWeight > 1000):
		return invalid("Range of blkio weight is from 10 to 1000")
	}
	if err := ocispec.CheckSets(r.CpusetCpus, r.CpusetMems); err != nil {
		return err
	}
	for _, l := range r.Ulimits {
		if l == nil || l.Soft > l.Hard && l.Hard != -1 {
			return invalid("invalid ulimit %v: the soft limit is above the hard one", l)
		}
	}
	_, err := ocispec.Resources(r)
	return err
}
