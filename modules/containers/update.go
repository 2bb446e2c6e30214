package containers

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"strings"

	"github.com/containerd/containerd/v2/client"
	coremount "github.com/containerd/containerd/v2/core/mount"
	"github.com/moby/moby/api/types/container"
	eventtypes "github.com/moby/moby/api/types/events"

	"github.com/pouchfx/pouchfx/modules/containerd"
	"github.com/pouchfx/pouchfx/modules/containers/ocispec"
	"github.com/pouchfx/pouchfx/modules/explain"
	"github.com/pouchfx/pouchfx/modules/jsonbody"
	"github.com/pouchfx/pouchfx/modules/registry"
	"github.com/pouchfx/pouchfx/types"
)

// maxUpdate bounds the body of an update, in bytes.
const maxUpdate = 4 << 20

// Update changes a container's limits, restart policy and what PouchContainer
// adds. What is zero in the body stays as it is. When it fails, nothing was
// changed; only an error of the PostUpdate hook, which says so, leaves the
// update in force.
func (s *Service) Update(ctx context.Context, name string, body io.ReadCloser) (resp container.UpdateResponse, err error) {
	c, err := s.index.get(name)
	if err != nil {
		return resp, errors.Join(err, body.Close())
	}
	ctx, hooks := registry.Begin(about(ctx, c))
	update, err := s.readUpdate(ctx, body)
	if err != nil {
		return resp, err
	}
	if err := c.op.lock(ctx); err != nil {
		return resp, err
	}
	defer c.op.unlock()
	ctx, cancel := context.WithTimeout(s.Engine.Context(context.WithoutCancel(ctx)), startTimeout)
	defer cancel()
	if err := s.applyUpdate(ctx, c, update); err != nil {
		return resp, err
	}
	s.explain(ctx, c, hooks, func(e *explain.Explanation, changes []registry.Change) { e.Update = append(e.Update, changes...) })
	s.publish(c, eventtypes.ActionUpdate)
	if err := s.postUpdate(ctx, c); err != nil {
		return resp, fmt.Errorf("the container was updated, but: %w", err)
	}
	return resp, nil
}

// readUpdate runs the hooks on the body and decodes what they leave.
func (s *Service) readUpdate(ctx context.Context, body io.ReadCloser) (*types.UpdateConfig, error) {
	changed, err := s.Hooks.PreUpdate(ctx, body)
	if err != nil {
		return nil, errors.Join(err, body.Close())
	}
	defer changed.Close()
	text, err := io.ReadAll(io.LimitReader(changed, maxUpdate+1))
	switch {
	case err != nil:
		return nil, invalid("cannot read the update: %v", err)
	case len(text) > maxUpdate:
		return nil, invalid("the update is larger than %d bytes", maxUpdate)
	}
	return decodeUpdate(text)
}

// decodeUpdate reads an update as dockerd does: unknown keys are ignored,
// wrong types, and anything behind the object, are errors.
func decodeUpdate(text []byte) (*types.UpdateConfig, error) {
	var u types.UpdateConfig
	err := jsonbody.Decode(bytes.NewReader(text), &u)
	if err == io.EOF {
		err = invalid("invalid JSON: got EOF while reading request body")
	}
	if err != nil {
		return nil, err
	}
	for _, e := range u.Env {
		if name, _, _ := strings.Cut(e, "="); name == "" || strings.ContainsRune(e, 0) {
			return nil, invalid("invalid environment variable: %q", name+"=")
		}
	}
	for _, l := range u.Label {
		if key, _, _ := strings.Cut(l, "="); key == "" {
			return nil, invalid("invalid label: %q", l)
		}
	}
	return &u, nil
}

// applyUpdate changes the running container, if it runs, and the record.
func (s *Service) applyUpdate(ctx context.Context, c *ctr, u *types.UpdateConfig) error {
	before := c.record()
	host := before.HostConfig
	if err := mergeResources(&host.Resources, &u.Resources); err != nil {
		return err
	}
	if u.RestartPolicy.Name != "" {
		if host.AutoRemove {
			return conflict("Restart policy cannot be updated because AutoRemove is enabled for the container")
		}
		if err := container.ValidateRestartPolicy(u.RestartPolicy); err != nil {
			return invalid("%v", err)
		}
		host.RestartPolicy = u.RestartPolicy
	}
	run := c.current()
	if run != nil {
		if err := limit(ctx, run, &host.Resources); err != nil {
			return fmt.Errorf("cannot update container %s: %w", c.id, err)
		}
	}
	err := s.change(ctx, c, nil, func(r *record) {
		r.HostConfig = host
		r.Config.Env = ocispec.MergeEnv(r.Config.Env, u.Env)
		r.Config.Labels = withLabels(r.Config.Labels, u.Label)
		if len(u.SpecAnnotation) > 0 {
			merged := maps.Clone(r.Config.SpecAnnotation)
			if merged == nil {
				merged = map[string]string{}
			}
			maps.Copy(merged, u.SpecAnnotation)
			r.Config.SpecAnnotation = merged
		}
	})
	if err != nil && run != nil {
		return errors.Join(err, limit(ctx, run, &before.HostConfig.Resources))
	}
	return err
}

// limit applies limits to a run.
func limit(ctx context.Context, r *run, resources *types.Resources) error {
	limits, err := ocispec.Resources(resources)
	if err != nil {
		return err
	}
	limits.Devices, limits.BlockIO.WeightDevice = nil, nil
	return r.task.Update(ctx, client.WithResources(limits))
}

func withLabels(labels map[string]string, changes []string) map[string]string {
	merged := maps.Clone(labels)
	if merged == nil {
		merged = map[string]string{}
	}
	for _, change := range changes {
		key, value, _ := strings.Cut(change, "=")
		merged[key] = value
	}
	return merged
}

// mergeResources puts what an update asks for over what holds, and checks the
// result.
func mergeResources(r, u *types.Resources) error {
	for _, refused := range []struct {
		name  string
		given bool
	}{
		{"BlkioWeightDevice", len(u.BlkioWeightDevice) > 0}, {"BlkioDeviceReadBps", len(u.BlkioDeviceReadBps) > 0},
		{"BlkioDeviceWriteBps", len(u.BlkioDeviceWriteBps) > 0}, {"BlkioDeviceReadIOps", len(u.BlkioDeviceReadIOps) > 0},
		{"BlkioDeviceWriteIOps", len(u.BlkioDeviceWriteIOps) > 0}, {"Devices", len(u.Devices) > 0},
		{"DeviceCgroupRules", len(u.DeviceCgroupRules) > 0}, {"DeviceRequests", len(u.DeviceRequests) > 0},
		{"Ulimits", len(u.Ulimits) > 0}, {"CgroupParent", u.CgroupParent != ""}, {"CpuCount", u.CPUCount != 0},
		{"CpuPercent", u.CPUPercent != 0}, {"OomKillDisable", u.OomKillDisable != nil}, {"MemorySwappiness", u.MemorySwappiness != nil},
	} {
		if refused.given {
			return unsupported("update of %s is not supported by this daemon", refused.name)
		}
	}
	switch {
	case u.NanoCPUs > 0 && (r.CPUPeriod > 0 || r.CPUQuota > 0):
		return conflict("Conflicting options: Nano CPUs cannot be updated as CPU Period or CPU Quota has already been set")
	case r.NanoCPUs > 0 && (u.CPUPeriod > 0 || u.CPUQuota > 0):
		return conflict("Conflicting options: CPU Period or CPU Quota cannot be updated as NanoCPUs has already been set")
	case u.Memory > 0 && u.MemorySwap == 0 && r.MemorySwap > 0 && u.Memory > r.MemorySwap:
		return conflict("Memory limit should be smaller than already set memoryswap limit, update the memoryswap at the same time")
	}
	r.BlkioWeight = cmp.Or(u.BlkioWeight, r.BlkioWeight)
	r.CPUShares = cmp.Or(u.CPUShares, r.CPUShares)
	r.NanoCPUs = cmp.Or(u.NanoCPUs, r.NanoCPUs)
	r.CPUPeriod = cmp.Or(u.CPUPeriod, r.CPUPeriod)
	r.CPUQuota = cmp.Or(u.CPUQuota, r.CPUQuota)
	r.CPURealtimePeriod = cmp.Or(u.CPURealtimePeriod, r.CPURealtimePeriod)
	r.CPURealtimeRuntime = cmp.Or(u.CPURealtimeRuntime, r.CPURealtimeRuntime)
	r.CpusetCpus = cmp.Or(u.CpusetCpus, r.CpusetCpus)
	r.CpusetMems = cmp.Or(u.CpusetMems, r.CpusetMems)
	r.Memory = cmp.Or(u.Memory, r.Memory)
	r.MemorySwap = cmp.Or(u.MemorySwap, r.MemorySwap)
	r.MemoryReservation = cmp.Or(u.MemoryReservation, r.MemoryReservation)
	if u.PidsLimit != nil {
		r.PidsLimit = u.PidsLimit
	}
	return validateResources(r)
}

// postUpdate runs the hooks with the container's root filesystem, which is
// mounted for them where the container does not run.
func (s *Service) postUpdate(ctx context.Context, c *ctr) error {
	env := append([]string{}, c.record().Config.Env...)
	mounts, err := s.rootMounts(ctx, c)
	if err != nil {
		return err
	}
	if c.current() != nil {
		root, err := containerd.MountedAt(mounts)
		if err != nil {
			return err
		}
		return s.Hooks.PostUpdate(ctx, root, env)
	}
	return withMount(coremount.WithTempMount, ctx, mounts, func(root string) error {
		return s.Hooks.PostUpdate(ctx, root, env)
	})
}
