package api

import (
	"cmp"
	"context"
	"net/http"
	"net/netip"
	"os"
	"runtime"
	"time"

	"github.com/containerd/containerd/v2/pkg/apparmor"
	"github.com/moby/moby/api/types/registry"
	"github.com/moby/moby/api/types/swarm"
	"github.com/moby/moby/api/types/system"

	"github.com/pouchfx/pouchfx/modules/build"
	"github.com/pouchfx/pouchfx/modules/containers"
	"github.com/pouchfx/pouchfx/modules/images"
)

// info describes the daemon and its machine.
func (h *systemHandlers) info(ctx context.Context, w http.ResponseWriter, _ *http.Request) error {
	c, machine := h.params.Config, inspectHost()
	running, paused, stopped := h.params.Containers.Counts()
	info := system.Info{
		ID:         daemonID(c.DataRoot),
		Containers: running + paused + stopped, ContainersRunning: running, ContainersPaused: paused, ContainersStopped: stopped,
		Driver: h.params.Engine.Snapshotter(), DriverStatus: [][2]string{{"driver-type", "io.containerd.snapshotter.v1"}},
		Plugins: system.PluginsInfo{Volume: []string{"local"}, Network: []string{"bridge", "host", "null"}, Log: containers.LogDrivers()},
		Debug:   c.LogLevel == "debug", NFd: openFiles(), NGoroutines: runtime.NumGoroutine(), SystemTime: time.Now().Format(time.RFC3339Nano),
		LoggingDriver: "json-file", CgroupDriver: "cgroupfs", CgroupVersion: machine.CgroupVersion,
		KernelVersion: machine.Kernel, OperatingSystem: machine.OperatingSystem, OSVersion: machine.OSVersion,
		OSType: runtime.GOOS, Architecture: machine.Architecture, NCPU: runtime.NumCPU(), MemTotal: machine.Memory,
		IPv4Forwarding:     machine.IPv4Forwarding,
		IndexServerAddress: "https://index.docker.io/v1/", RegistryConfig: registryConfig(c.InsecureRegistries),
		DockerRootDir: c.DataRoot, Name: machine.Name, ServerVersion: build.Read().Version, LiveRestoreEnabled: c.LiveRestore,
		HTTPProxy: os.Getenv("HTTP_PROXY"), HTTPSProxy: os.Getenv("HTTPS_PROXY"), NoProxy: os.Getenv("NO_PROXY"),
		Runtimes:       map[string]system.RuntimeWithStatus{"runc": {Runtime: system.Runtime{Path: "runc"}}},
		DefaultRuntime: "runc", InitBinary: "docker-init", InitCommit: system.Commit{ID: build.Read().Version}, Swarm: swarm.Info{LocalNodeState: swarm.LocalNodeStateInactive},
	}
	limits(&info, machine)
	info.Warnings = warnings(&info, c)
	if apparmor.HostSupports() {
		info.SecurityOptions = append(info.SecurityOptions, "name=apparmor")
	}
	images, err := h.params.Images.List(ctx, images.ListOptions{})
	if err != nil {
		return err
	}
	info.Images = len(images)

	engine, err := h.params.Engine.Versions(ctx)
	if err != nil {
		info.Warnings = append(info.Warnings, "WARNING: "+err.Error())
	}
	info.ContainerdCommit.ID = cmp.Or(engine.ContainerdRevision, engine.Containerd)
	info.RuncCommit.ID = cmp.Or(engine.RuncCommit, engine.Runc)
	if engine.Seccomp {
		info.SecurityOptions = append(info.SecurityOptions, "name=seccomp,profile=builtin")
	} else if err == nil {
		info.Warnings = append(info.Warnings, "WARNING: runc cannot confine system calls: it was built without seccomp")
	}
	if machine.CgroupVersion == "2" {
		info.SecurityOptions = append(info.SecurityOptions, "name=cgroupns")
	}
	return writeJSON(w, http.StatusOK, legacyInfo(info))
}

// limits tells which limits the machine's cgroups can keep.
func limits(info *system.Info, h host) {
	cpu := h.Controllers["cpu"]
	info.MemoryLimit, info.SwapLimit = h.Controllers["memory"], h.SwapLimit
	info.CPUCfsPeriod, info.CPUCfsQuota, info.CPUShares = cpu, cpu, cpu
	info.CPUSet, info.PidsLimit = h.Controllers["cpuset"], h.Controllers["pids"]
	info.OomKillDisable = info.MemoryLimit && h.CgroupVersion == "1"
}

// registryConfig shows the registries that may be spoken to without TLS.
func registryConfig(insecure []string) *registry.ServiceConfig {
	config := &registry.ServiceConfig{
		InsecureRegistryCIDRs: []netip.Prefix{netip.MustParsePrefix("::1/128"), netip.MustParsePrefix("127.0.0.0/8")},
		IndexConfigs:          map[string]*registry.IndexInfo{"docker.io": {Name: "docker.io", Mirrors: []string{}, Secure: true, Official: true}},
		Mirrors:               []string{},
	}
	for _, r := range insecure {
		if p, err := netip.ParsePrefix(r); err == nil {
			config.InsecureRegistryCIDRs = append(config.InsecureRegistryCIDRs, p)
			continue
		}
		config.IndexConfigs[r] = &registry.IndexInfo{Name: r, Mirrors: []string{}}
	}
	return config
}

func openFiles() int {
	files, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return -1
	}
	return len(files)
}
