package containerd

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"maps"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/containerd/containerd/api/types/runc/options"
	"github.com/containerd/containerd/v2/pkg/cap"
	"github.com/containerd/containerd/v2/plugins"
	"github.com/containerd/platforms"
	"github.com/pelletier/go-toml/v2"

	cni "github.com/pouchfx/pouchfx/modules/networks/assets"
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
	runtimes := map[string]CRIRuntime{runcHandler: {}}
	maps.Copy(runtimes, c.Runtimes)
	snapshotters, handlers := map[string]bool{}, map[string]any{}
	for name, r := range runtimes {
		if handlers[name], err = e.criHandler(name, r); err != nil {
			return nil, fmt.Errorf("runtime handler %q: %w", name, err)
		}
		snapshotters[cmp.Or(r.Snapshotter, e.config.Snapshotter)] = true
	}
	var unpack []map[string]any
	for s := range snapshotters {
		unpack = append(unpack, map[string]any{"platform": platforms.Format(platforms.DefaultSpec()), "snapshotter": s})
	}
	binDirs := orDefault(c.CNIBinDirs, "/opt/cni/bin")
	if carried, err := cni.Unpack(filepath.Join(e.config.Root, "bin")); err != nil {
		return nil, err
	} else if carried != "" {
		binDirs = append(slices.Clip(binDirs), carried)
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
				"bin_dirs": binDirs,
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
func (e *Engine) criHandler(name string, r CRIRuntime) (map[string]any, error) {
	h := map[string]any{
		"sandboxer":                       "podsandbox",
		"pod_annotations":                 r.PodAnnotations,
		"container_annotations":           r.ContainerAnnotations,
		"snapshotter":                     r.Snapshotter,
		"privileged_without_host_devices": r.PrivilegedWithoutHostDevices,
	}
	opts := map[string]any{}
	switch {
	case r.Shim == "":
		shim, ours := e.Runtime()
		h["runtime_type"], h["runtime_path"] = plugins.RuntimeRuncV2, shim
		opts["SystemdCgroup"] = e.cgroupDriver() == CgroupSystemd
		opts["BinaryName"], opts["Root"] = ours.BinaryName, ours.Root
		if r.Binary != "" {
			// What one runtime keeps of its containers another cannot read.
			opts["BinaryName"], opts["Root"] = r.Binary, filepath.Join(e.config.State, "runtimes", name)
		}
	case filepath.IsAbs(r.Shim):
		h["runtime_type"], h["runtime_path"] = shimType(r.Shim), r.Shim
	default:
		h["runtime_type"] = r.Shim
	}
	maps.Copy(opts, r.Options)
	if r.Shim == "" {
		if err := checkOptions(opts); err != nil {
			return nil, err
		}
	}
	if len(opts) > 0 {
		h["options"] = opts
	}
	return h, nil
}

// checkOptions refuses what containerd would overlook in our shim's options.
func checkOptions(o map[string]any) error {
	text, err := toml.Marshal(o)
	if err == nil {
		err = toml.NewDecoder(bytes.NewReader(text)).DisallowUnknownFields().Decode(&options.Options{})
	}
	if unknown := (*toml.StrictMissingError)(nil); errors.As(err, &unknown) {
		return fmt.Errorf("unknown option %q", strings.Join(unknown.Errors[0].Key(), "."))
	}
	return err
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
