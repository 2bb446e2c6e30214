package cri

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/containerd/containerd/v2/core/mount"
	"github.com/containerd/containerd/v2/pkg/namespaces"
	"github.com/containerd/errdefs"
	"google.golang.org/protobuf/proto"
	runtime "k8s.io/cri-api/pkg/apis/runtime/v1"

	"github.com/pouchfx/pouchfx/modules/containerd"
	"github.com/pouchfx/pouchfx/modules/cri/mapping"
	"github.com/pouchfx/pouchfx/modules/cri/proxy"
	"github.com/pouchfx/pouchfx/modules/explain"
	"github.com/pouchfx/pouchfx/modules/registry"
	"github.com/pouchfx/pouchfx/plugins"
)

// updateContainer runs PreUpdate on the update body that says what the request
// does, and PostUpdate when upstream has applied it.
func (e *Endpoint) updateContainer(ctx context.Context, request []byte, invoke proxy.Invoke) ([]byte, error) {
	r := &runtime.UpdateContainerResourcesRequest{}
	if err := unmarshal(request, r); err != nil {
		return nil, err
	}
	c, err := e.loadContainer(ctx, r.GetContainerId())
	if err != nil {
		return nil, err
	}
	done, err := e.turns.take(ctx, c.ID())
	if err != nil {
		return nil, err
	}
	defer done()
	s, err := e.loadSandbox(ctx, c.SandboxID)
	if err != nil {
		return nil, err
	}
	hooked, hooks := registry.Begin(plugins.WithRequest(ctx, c.request(ctx, s)))
	changed, err := e.preUpdate(hooked, r)
	if err != nil {
		return nil, err
	}
	if changed {
		if request, err = proto.Marshal(r); err != nil {
			return nil, fmt.Errorf("update of container %s: %w", c.ID(), err)
		}
	}
	response, err := invoke(ctx, request)
	if err != nil {
		return nil, err
	}
	e.explain(ctx, c.ID(), hooks, func(e *explain.Explanation, changes []registry.Change) { e.Update = append(e.Update, changes...) })
	if err := e.postUpdate(hooked, c); err != nil {
		return nil, fmt.Errorf("the container was updated, but: %w", err)
	}
	return response, nil
}

// preUpdate runs the hooks and writes into r what they changed.
func (e *Endpoint) preUpdate(ctx context.Context, r *runtime.UpdateContainerResourcesRequest) (changed bool, err error) {
	before, err := mapping.UpdateBody(r)
	if err != nil {
		return false, err
	}
	body, err := e.params.Containers.PreUpdate(ctx, io.NopCloser(bytes.NewReader(before)))
	if err != nil {
		return false, err
	}
	after, err := io.ReadAll(io.LimitReader(body, registry.MaxBody+1))
	if err = errors.Join(err, body.Close()); err != nil || bytes.Equal(before, after) {
		return false, err
	}
	return mapping.ApplyUpdate(r, before, after)
}

// postUpdate runs the hooks with the container's root filesystem, which is
// mounted for them where the container does not run.
func (e *Endpoint) postUpdate(ctx context.Context, c *container) error {
	named := namespaces.WithNamespace(ctx, containerd.PodNamespace)
	spec, err := c.Spec(named)
	if err != nil {
		return err
	}
	var env []string
	if spec.Process != nil {
		env = spec.Process.Env
	}
	info, err := c.Info(named)
	if err != nil {
		return err
	}
	mounts, err := e.params.Engine.PodClient().SnapshotService(info.Snapshotter).Mounts(named, info.SnapshotKey)
	if err != nil {
		return err
	}
	root, err := containerd.MountedAt(mounts)
	if err == nil {
		return e.params.Containers.PostUpdate(ctx, root, env)
	} else if !errdefs.IsNotFound(err) {
		return err
	}
	return mount.WithTempMount(named, mounts, func(root string) error {
		return e.params.Containers.PostUpdate(ctx, root, env)
	})
}
