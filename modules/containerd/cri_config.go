package containerd

import (
	"cmp"
	"fmt"
	"maps"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/containerd/containerd/v2/pkg/cap"
	"github.com/containerd/containerd/v2/plugins"
	"github.com/containerd/platforms"
)

const (
	criServer   = "io.containerd.grpc.v1.cri"
	criImages   = "io.containerd.cri.v1.images"
	criRuntime  = "io.containerd.cri.v1.runtime"
	transferrer = "io.containerd.transfer.v1.local"
)

// criPlugins is the configuration of containerd's plugins for CRI.
func (e *Engine) criPlugins() (map[string]any, error) {
	c := e.config.CRI
	host, port, err := net.SplitHostPort(cmp.Or(c.StreamAddress, "127.0.0.1:0"))
	if err != nil {
		return nil, fmt.Errorf("address of CRI's streams: %w", err)
	}
	caps, err := cap.Current()
	if err != nil {
		return nil, err
	}
	restricted := !slices.Contains(caps, "CAP_SYS_RESOURCE")
	if restricted {
		e.log.Warn("this machine lets nobody lower an OOM score (there is no CAP_SYS_RESOURCE): pods' are no lower than the daemon's")
	}
	snapshotters := map[string]bool{e.config.Snapshotter: true}
	handlers := map[string]any{}
	for name, r := range c.Runtimes {
		handlers[name] = e.criHandler(name, r)
		snapshotters[cmp.Or(r.Snapshotter, e.config.Snapshotter)] = true
	}
	if handlers[runcHandler] == nil {
		handlers[runcHandler] = e.criHandler(runcHandler, CRIRuntime{})
	}
	var unpack []map[string]any
	for s := range snapshotters {
		unpack = append(unpack, map[string]any{"platform": platforms.Format(platforms.DefaultSpec()), "snapshotter": s})
	}
	images := map[string]any{
		"snapshotter": e.config.Snapshotter,
		"registry":    map[string]any{"config_path": strings.Join(orDefault(c.RegistryDirs, "/etc/containerd/certs.d", "/etc/docker/certs.d"), ":")},
	}
	if name, _ := e.sandboxImage(); name != "" {
		images["pinned_images"] = map[string]any{"sandbox": name}
	}
	return map[string]any{
		transferrer: map[string]any{"unpack_config": unpack},
		criImages:   images,
		criRuntime: map[string]any{
			"cni": map[string]any{
				"conf_dir": cmp.Or(c.CNIConfDir, "/etc/cni/net.d"),
				"bin_dirs": orDefault(c.CNIBinDirs, "/opt/cni/bin"),
				// One program less to have on the host, and to run for each pod.
				"use_internal_loopback": true,
			},
			"containerd":             map[string]any{"default_runtime_name": runcHandler, "runtimes": handlers},
			"restrict_oom_score_adj": restricted,
		},
		criServer: map[string]any{"stream_server_address": host, "stream_server_port": port},
	}, nil
}

// runcHandler is the handler of pods that name none.
const runcHandler = "runc"

// criHandler is containerd's configuration of a runtime handler.
func (e *Engine) criHandler(name string, r CRIRuntime) map[string]any {
	h := map[string]any{
		"sandboxer":                       "podsandbox",
		"pod_annotations":                 r.PodAnnotations,
		"container_annotations":           r.ContainerAnnotations,
		"snapshotter":                     r.Snapshotter,
		"privileged_without_host_devices": r.PrivilegedWithoutHostDevices,
	}
	options := map[string]any{}
	switch {
	case r.Shim == "":
		shim, ours := e.Runtime()
		h["runtime_type"], h["runtime_path"] = plugins.RuntimeRuncV2, shim
		options["SystemdCgroup"] = e.cgroupDriver() == CgroupSystemd
		options["BinaryName"], options["Root"] = ours.BinaryName, ours.Root
		if r.Binary != "" {
			// What one runtime keeps of its containers another cannot read.
			options["BinaryName"], options["Root"] = r.Binary, filepath.Join(e.config.State, "runtimes", name)
		}
	case filepath.IsAbs(r.Shim):
		h["runtime_type"], h["runtime_path"] = shimType(r.Shim), r.Shim
	default:
		h["runtime_type"] = r.Shim
	}
	maps.Copy(options, r.Options)
	if len(options) > 0 {
		h["options"] = options
	}
	return h
}

// shimType is the type of a shim by containerd's rule for names:
// containerd-shim-kata-v2 is one of type io.containerd.kata.v2.
func shimType(path string) string {
	name := strings.TrimPrefix(filepath.Base(path), "containerd-shim-")
	return "io.containerd." + strings.ReplaceAll(name, "-", ".")
}

// cgroupDriver is the one that is configured, or fits the machine.
func (e *Engine) cgroupDriver() string {
	if d := e.config.CRI.CgroupDriver; d != "" {
		return d
	}
	// As sd_booted(3) tells that systemd manages the machine.
	if info, err := os.Lstat("/run/systemd/system"); err == nil && info.IsDir() {
		return CgroupSystemd
	}
	return CgroupFS
}

func orDefault(list []string, otherwise ...string) []string {
	if len(list) > 0 {
		return list
	}
	return otherwise
}
