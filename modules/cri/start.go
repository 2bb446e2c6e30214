package cri

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"

	"github.com/containerd/containerd/v2/client"
	"github.com/containerd/containerd/v2/core/containers"
	"github.com/containerd/containerd/v2/pkg/namespaces"
	"github.com/containerd/typeurl/v2"
	specs "github.com/opencontainers/runtime-spec/specs-go"
	runtime "k8s.io/cri-api/pkg/apis/runtime/v1"

	"github.com/pouchfx/pouchfx/modules/containerd"
	"github.com/pouchfx/pouchfx/modules/cri/mapping"
	"github.com/pouchfx/pouchfx/modules/cri/proxy"
	"github.com/pouchfx/pouchfx/modules/explain"
	"github.com/pouchfx/pouchfx/modules/registry"
	"github.com/pouchfx/pouchfx/plugins"
)

// createdExtension keeps the specification that CRI made. A start that was
// asked for, and did not come to pass because upstream went away, begins with
// it again, so that nothing piles up.
const createdExtension = "pouchfx.io/created-spec"

// startContainer runs PreStart and writes into the container's specification
// what it asks for, and what the create could not say in CRI's words. The
// start itself is upstream's, which reads the specification then.
//
// A pod's network is there before its containers are: runtime hooks run in the
// order of their priorities, all of them after it.
func (e *Endpoint) startContainer(ctx context.Context, request []byte, invoke proxy.Invoke) ([]byte, error) {
	r := &runtime.StartContainerRequest{}
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
	if err := e.prepareStart(ctx, c); err != nil {
		return nil, err
	}
	return invoke(ctx, request)
}

// prepareStart leaves the container's record with the specification to start.
func (e *Endpoint) prepareStart(ctx context.Context, c *container) error {
	state, err := e.startable(ctx, c)
	if err != nil || !state {
		return err // upstream says why
	}
	sandbox, err := e.loadSandbox(ctx, c.SandboxID)
	if err != nil {
		return err
	}
	spec, err := c.createdSpec(ctx)
	if err != nil {
		return err
	}
	created, err := typeurl.MarshalAny(spec)
	if err != nil {
		return err
	}
	if text, ok := c.Config.GetAnnotations()[AnnotationSpec]; ok {
		extra := &mapping.Extra{}
		if err := json.Unmarshal([]byte(text), extra); err != nil {
			return fmt.Errorf("container %s: annotation %s: %w", c.ID(), AnnotationSpec, err)
		}
		if err := extra.Edit(spec); err != nil {
			return fmt.Errorf("container %s: %w", c.ID(), err)
		}
	}
	ctx, hooks := registry.Begin(ctx)
	err = e.preStart(ctx, c, sandbox, spec)
	e.explain(ctx, c.ID(), hooks, func(e *explain.Explanation, changes []registry.Change) { e.Start = changes })
	if err != nil {
		return err
	}
	started, err := typeurl.MarshalAny(spec)
	if err != nil || bytes.Equal(created.GetValue(), started.GetValue()) {
		return err
	}
	return c.save(ctx, started)
}

// startable tells whether upstream would start the container, so that the
// hooks do not run for one that runs already.
func (e *Endpoint) startable(ctx context.Context, c *container) (bool, error) {
	status, err := runtime.NewRuntimeServiceClient(e.params.Engine.CRI()).ContainerStatus(ctx, &runtime.ContainerStatusRequest{ContainerId: c.ID()})
	if err != nil {
		return false, err
	}
	return status.GetStatus().GetState() == runtime.ContainerState_CONTAINER_CREATED, nil
}

// preStart runs the hooks and writes into the specification what they ask for.
func (e *Endpoint) preStart(ctx context.Context, c *container, s *sandbox, spec *specs.Spec) error {
	from := &runtime.CreateContainerRequest{PodSandboxId: c.SandboxID, Config: c.Config, SandboxConfig: s.Config}
	start := mapping.Container(c.ID(), from, spec, e.params.Engine.PodRootFS(c.ID()))
	priorities, args, err := e.params.Containers.PreStart(plugins.WithRequest(ctx, c.request(ctx, s)), start)
	if err != nil {
		return err
	}
	hooks, err := registry.RuntimeHooks(priorities, args)
	if err != nil {
		return err
	}
	return mapping.EditStart(spec, start, hooks)
}

// createdSpec is the specification as CRI made it.
func (c *container) createdSpec(ctx context.Context) (*specs.Spec, error) {
	ctx = namespaces.WithNamespace(ctx, containerd.PodNamespace)
	extensions, err := c.Extensions(ctx)
	if err != nil {
		return nil, err
	}
	kept, ok := extensions[createdExtension]
	if !ok {
		return c.Spec(ctx)
	}
	spec := &specs.Spec{}
	if err := json.Unmarshal(kept.GetValue(), spec); err != nil {
		return nil, fmt.Errorf("container %s: %s: %w", c.ID(), createdExtension, err)
	}
	return spec, nil
}

// save writes the specification, and keeps the one that CRI made.
func (c *container) save(ctx context.Context, spec typeurl.Any) error {
	ctx = namespaces.WithNamespace(ctx, containerd.PodNamespace)
	return c.Update(ctx, func(_ context.Context, _ *client.Client, record *containers.Container) error {
		if record.Extensions == nil {
			record.Extensions = map[string]typeurl.Any{}
		}
		if _, ok := record.Extensions[createdExtension]; !ok {
			record.Extensions[createdExtension] = record.Spec
		}
		record.Spec = spec
		return nil
	})
}
