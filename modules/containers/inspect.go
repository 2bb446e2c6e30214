package containers

import (
	"context"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/containerd/containerd/v2/core/snapshots"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/storage"

	"github.com/pouchfx/pouchfx/modules/containers/mountspec"
	"github.com/pouchfx/pouchfx/modules/containers/ocispec"
)

// Inspect describes a container. With size its files are measured.
func (s *Service) Inspect(ctx context.Context, name string, size bool) (*container.InspectResponse, error) {
	c, err := s.index.get(name)
	if err != nil {
		return nil, err
	}
	r := c.record()
	config, host := r.Config.Config, r.HostConfig
	fillHostConfig(&host)
	command := slices.Concat(config.Entrypoint, config.Cmd)
	dir := s.dir(c.id)
	response := &container.InspectResponse{
		ID: c.id, Created: r.Created.Format(time.RFC3339Nano), Name: "/" + r.Name, Image: r.ImageID.String(),
		Path: command[0], Args: append([]string{}, command[1:]...), State: c.state(),
		ResolvConfPath: filepath.Join(dir, "resolv.conf"), HostnamePath: filepath.Join(dir, "hostname"), HostsPath: filepath.Join(dir, "hosts"),
		RestartCount: r.State.RestartCount, Driver: r.Snapshotter, Platform: r.Platform, ExecIDs: c.execIDs(),
		HostConfig: &host, Mounts: shownMounts(r.Mounts), Config: &config, NetworkSettings: s.networkSettings(c),
		Storage: &storage.Storage{RootFS: &storage.RootFSStorage{Snapshot: &storage.RootFSStorageSnapshot{Name: r.Snapshotter}}},
	}
	if c.log != nil {
		response.LogPath = c.log.Path()
	}
	if size {
		rw, all, err := s.bothSizes(ctx, c)
		if err != nil {
			return nil, err
		}
		response.SizeRw, response.SizeRootFs = &rw, &all
	}
	return response, nil
}

// fillHostConfig shows defaults as dockerd shows them.
func fillHostConfig(h *container.HostConfig) {
	if h.LogConfig.Type == "" {
		h.LogConfig.Type = driverJSON
	}
	if h.LogConfig.Config == nil {
		h.LogConfig.Config = map[string]string{}
	}
	if h.RestartPolicy.Name == "" {
		h.RestartPolicy.Name = container.RestartPolicyDisabled
	}
	if h.IpcMode == "" {
		h.IpcMode = container.IPCModePrivate
	}
	if h.ShmSize == 0 {
		h.ShmSize = ocispec.DefaultShmSize
	}
	if h.Runtime == "" {
		h.Runtime = "runc"
	}
}

// shownMounts leaves out what --tmpfs asked for, which the HostConfig shows.
func shownMounts(list []mountspec.Mount) []container.MountPoint {
	points := []container.MountPoint{}
	for _, m := range list {
		if !m.Plain {
			points = append(points, m.MountPoint)
		}
	}
	return points
}

func (c *ctr) state() *container.State {
	r, status := c.record(), c.status()
	st := &container.State{
		Status: status, Paused: status == statusPaused, Restarting: status == statusRestarting,
		OOMKilled: r.State.OOMKilled, ExitCode: r.State.ExitCode, Error: r.State.Error,
		StartedAt: r.State.StartedAt.Format(time.RFC3339Nano), FinishedAt: r.State.FinishedAt.Format(time.RFC3339Nano),
	}
	st.Health = c.currentHealth()
	if run := c.current(); run != nil {
		st.Running, st.Pid = true, run.pid
	}
	st.Running = st.Running || st.Restarting
	return st
}

func (c *ctr) execIDs() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	var ids []string
	for id, e := range c.execs {
		e.mu.Lock()
		if e.running {
			ids = append(ids, id)
		}
		e.mu.Unlock()
	}
	slices.SortFunc(ids, strings.Compare)
	return ids
}

// sizes returns the size of what a container wrote.
func (s *Service) sizes(ctx context.Context, c *ctr) (int64, error) {
	snapshotter, err := s.snapshots(c.record().Snapshotter)
	if err != nil {
		return 0, err
	}
	usage, err := snapshotter.Usage(s.Engine.Context(ctx), c.id)
	return usage.Size, err
}

// bothSizes returns the size of what a container wrote, and of all it sees.
func (s *Service) bothSizes(ctx context.Context, c *ctr) (rw, all int64, err error) {
	ctx = s.Engine.Context(ctx)
	snapshotter, err := s.snapshots(c.record().Snapshotter)
	if err != nil {
		return 0, 0, err
	}
	for key := c.id; key != ""; {
		usage, err := snapshotter.Usage(ctx, key)
		if err != nil {
			return 0, 0, err
		}
		if key == c.id {
			rw = usage.Size
		}
		all += usage.Size
		var info snapshots.Info
		if info, err = snapshotter.Stat(ctx, key); err != nil {
			return 0, 0, err
		}
		key = info.Parent
	}
	return rw, all, nil
}
